;; Checks a row of the revision log and copies what an answer holds of it (format.ts describes the record).
;; Memory: 16 CRC-32C tables of 1 KiB from 0 on; table k gives the effect of a byte followed by k zero bytes. The rest belongs to the caller.
(module
  (memory (export "memory") 4 4)

  ;; CRC-32C of [p, end), sixteen bytes a step.
  (func $crc (param $p i32) (param $end i32) (result i32)
    (local $c i32) (local $whole i32) (local $w1 i32) (local $w2 i32) (local $w3 i32)
    (local.set $c (i32.const -1))
    (local.set $whole (i32.sub (local.get $end) (i32.const 15)))
    (block $rest
      (loop $step
        (br_if $rest (i32.ge_s (local.get $p) (local.get $whole)))
        (local.set $c (i32.xor (local.get $c) (i32.load (local.get $p))))
        (local.set $w1 (i32.load offset=4 (local.get $p)))
        (local.set $w2 (i32.load offset=8 (local.get $p)))
        (local.set $w3 (i32.load offset=12 (local.get $p)))
        (local.set $c
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=15360 (i32.shl (i32.and (local.get $c) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=14336 (i32.and (i32.shr_u (local.get $c) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=13312 (i32.and (i32.shr_u (local.get $c) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=12288 (i32.shl (i32.shr_u (local.get $c) (i32.const 24)) (i32.const 2)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=11264 (i32.shl (i32.and (local.get $w1) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=10240 (i32.and (i32.shr_u (local.get $w1) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=9216 (i32.and (i32.shr_u (local.get $w1) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=8192 (i32.shl (i32.shr_u (local.get $w1) (i32.const 24)) (i32.const 2))))))
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=7168 (i32.shl (i32.and (local.get $w2) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=6144 (i32.and (i32.shr_u (local.get $w2) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=5120 (i32.and (i32.shr_u (local.get $w2) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=4096 (i32.shl (i32.shr_u (local.get $w2) (i32.const 24)) (i32.const 2)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=3072 (i32.shl (i32.and (local.get $w3) (i32.const 255)) (i32.const 2)))
                  (i32.load offset=2048 (i32.and (i32.shr_u (local.get $w3) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=1024 (i32.and (i32.shr_u (local.get $w3) (i32.const 14)) (i32.const 1020)))
                  (i32.load (i32.shl (i32.shr_u (local.get $w3) (i32.const 24)) (i32.const 2))))))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (br $step)))
    (block $done
      (loop $byte
        (br_if $done (i32.ge_s (local.get $p) (local.get $end)))
        (local.set $c
          (i32.xor
            (i32.shr_u (local.get $c) (i32.const 8))
            (i32.load (i32.shl (i32.and (i32.xor (local.get $c) (i32.load8_u (local.get $p))) (i32.const 255)) (i32.const 2)))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $byte)))
    (i32.xor (local.get $c) (i32.const -1)))

  ;; The bytes of a number in the other order.
  (func $swap (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))

  ;; The row in [at, at + size), which must be the one of the main revision hi * 2^32 + lo: writes tag, length and value to `to`.
  ;; Gives where that ends, or -1 when the record is not sound or another one.
  (func (export "copyRow") (param $at i32) (param $size i32) (param $hi i32) (param $lo i32) (param $to i32) (result i32)
    (local $type i32) (local $from i32) (local $n i32)
    (if (i32.ne (i32.load offset=4 (local.get $at)) (local.get $size)) (then (return (i32.const -1))))
    (if
      (i32.ne
        (call $crc (i32.add (local.get $at) (i32.const 4)) (i32.add (local.get $at) (local.get $size)))
        (i32.load (local.get $at)))
      (then (return (i32.const -1))))
    ;; 1 put, 2 tombstone
    (local.set $type (i32.load8_u offset=8 (local.get $at)))
    (if (i32.gt_u (i32.sub (local.get $type) (i32.const 1)) (i32.const 1)) (then (return (i32.const -1))))
    (if (i32.ne (call $swap (i32.load offset=12 (local.get $at))) (local.get $hi)) (then (return (i32.const -1))))
    (if (i32.ne (call $swap (i32.load offset=16 (local.get $at))) (local.get $lo)) (then (return (i32.const -1))))
    ;; Behind header and revision key: 29 bytes, and one more of a tombstone; before the padding.
    (local.set $from (i32.add (local.get $at) (i32.add (i32.const 28) (local.get $type))))
    (local.set $n
      (i32.sub
        (i32.sub (i32.add (local.get $at) (local.get $size)) (i32.load8_u offset=9 (local.get $at)))
        (local.get $from)))
    (if (i32.lt_s (local.get $n) (i32.const 0)) (then (return (i32.const -1))))
    (i32.store8 (local.get $to) (i32.const 18))
    (local.set $to (i32.add (local.get $to) (i32.const 1)))
    (local.set $size (local.get $n))
    (block $short
      (loop $more
        (br_if $short (i32.lt_u (local.get $size) (i32.const 128)))
        (i32.store8 (local.get $to) (i32.or (i32.and (local.get $size) (i32.const 127)) (i32.const 128)))
        (local.set $size (i32.shr_u (local.get $size) (i32.const 7)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $more)))
    (i32.store8 (local.get $to) (local.get $size))
    (local.set $to (i32.add (local.get $to) (i32.const 1)))
    (memory.copy (local.get $to) (local.get $from) (local.get $n))
    (i32.add (local.get $to) (local.get $n))))
