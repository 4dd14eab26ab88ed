//! Drives a member through the crate etcd-client (tonic, hyper): one line for each check.
//! Prints "restart" when the member is to be ended in good order and started again under load, and waits for a line on standard input.

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error, GetOptions, PutOptions, Txn, TxnOp, WatchOptions,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{sleep, timeout};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const LARGE: usize = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

fn want(ok: bool, what: impl Into<String>) -> Outcome {
    if ok { Ok(()) } else { Err(what.into().into()) }
}

/// The code and words of a refusal.
fn refused<T>(result: Result<T, Error>) -> Result<(i32, String), Box<dyn std::error::Error + Send + Sync>> {
    match result {
        Ok(_) => Err("not refused".into()),
        Err(Error::GRpcStatus(status)) => Ok((status.code() as i32, status.message().to_string())),
        Err(other) => Err(other.into()),
    }
}

fn prefix() -> Option<GetOptions> {
    Some(GetOptions::new().with_prefix())
}

async fn unary(mut c: Client) -> Outcome {
    c.put("t/a", "1", None).await?;
    let old = c.put("t/a", "2", Some(PutOptions::new().with_prev_key())).await?;
    want(old.prev_key().map(|kv| kv.value().to_vec()) == Some(b"1".to_vec()), "previous")?;
    let txn = Txn::new()
        .when([Compare::value("t/a", CompareOp::Equal, "2")])
        .and_then([TxnOp::get("t/a", None)])
        .or_else([TxnOp::delete("t/a", None)]);
    want(c.txn(txn).await?.succeeded(), "txn")?;
    want(c.delete("t/a", None).await?.deleted() == 1, "deleted")
}

async fn large(mut c: Client) -> Outcome {
    let value = vec![b'v'; LARGE];
    for i in 0..3 {
        c.put(format!("t/large/{i}"), value.clone(), None).await?;
    }
    // tonic takes 4 MiB at most; above that it is the client that refuses.
    let all = c.get("t/large/", prefix()).await?;
    want(all.kvs().len() == 3 && all.kvs()[2].value().len() == LARGE, "values")?;
    let (code, words) = refused(c.put("t/large", vec![b'v'; 1_600_000], None).await)?;
    want(code == 3 && words.contains("request is too large"), words)?;
    c.delete("t/large/", Some(DeleteOptions::new().with_prefix())).await?;
    Ok(())
}

async fn server_stream(mut c: Client) -> Outcome {
    let mut stream = c.snapshot().await?;
    let mut bytes = 0;
    while let Some(part) = stream.message().await? {
        bytes += part.blob().len();
    }
    want(bytes % 512 == 32, format!("{bytes} bytes"))
}

async fn bidirectional(mut c: Client) -> Outcome {
    let mut watch = c.watch("t/w/", Some(WatchOptions::new().with_prefix())).await?;
    for i in 0..50 {
        c.put(format!("t/w/{i}"), "x", None).await?;
    }
    let mut seen = 0;
    while seen < 50 {
        let message = timeout(PATIENCE, watch.message()).await??.ok_or("the watch ended")?;
        for event in message.events() {
            let kv = event.kv().ok_or("no kv")?;
            want(kv.key() == format!("t/w/{seen}").as_bytes(), "order")?;
            seen += 1;
        }
    }
    drop(watch);

    let lease = c.lease_grant(60, None).await?;
    let (mut keeper, mut answers) = c.lease_keep_alive(lease.id()).await?;
    for _ in 0..1000 {
        keeper.keep_alive().await?;
        let answer = timeout(PATIENCE, answers.message()).await??.ok_or("keepalive ended")?;
        want(answer.ttl() == 60, "ttl")?;
    }
    drop(keeper);
    c.lease_revoke(lease.id()).await?;
    Ok(())
}

async fn queue(c: &mut Client, name: &str, n: i64) -> Outcome {
    for _ in 0..1500 {
        if c.get(format!("{name}/"), prefix()).await?.count() == n {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(format!("not {n} in the queue of {name}").into())
}

async fn deadlines(mut c: Client) -> Outcome {
    let held = c.lock("t-deadline", None).await?;
    // tonic sends this time as grpc-timeout.
    let endpoint = std::env::args().nth(1).ok_or("endpoint")?;
    let mut short = Client::connect([endpoint], Some(ConnectOptions::new().with_timeout(Duration::from_millis(300)))).await?;
    let (code, words) = refused(short.lock("t-deadline", None).await)?;
    want(code == 4 || code == 1, format!("{code} {words}"))?;
    queue(&mut c, "t-deadline", 1).await?;
    c.unlock(held.key()).await?;
    Ok(())
}

async fn cancellation(mut c: Client) -> Outcome {
    let held = c.lock("t-cancel", None).await?;
    let mut other = c.clone();
    let waiting = tokio::spawn(async move { other.lock("t-cancel", None).await.is_ok() });
    queue(&mut c, "t-cancel", 2).await?;
    waiting.abort();
    queue(&mut c, "t-cancel", 1).await?;
    c.unlock(held.key()).await?;
    for i in 0..3 {
        c.put(format!("t/cut/{i}"), vec![b'v'; LARGE], None).await?;
    }
    for i in 0..20 {
        let _ = timeout(Duration::from_millis(i), c.get("t/cut/", prefix())).await;
    }
    want(c.get("t/cut/", prefix()).await?.kvs().len() == 3, "after cancellations")
}

async fn errors(mut c: Client) -> Outcome {
    let (code, words) = refused(c.put("", "x", None).await)?;
    want(code == 3 && words == "etcdserver: key is not provided", words)?;
    let (code, words) = refused(c.get("x", Some(GetOptions::new().with_revision(1 << 40))).await)?;
    want(code == 11, words)
}

async fn metadata(_: Client) -> Outcome {
    let endpoint = std::env::args().nth(1).ok_or("endpoint")?;
    let mut c = Client::connect([endpoint], Some(ConnectOptions::new().with_require_leader(true))).await?;
    c.put("t/meta", "x", None).await?;
    want(c.get("t/meta", None).await?.count() == 1, "value")
}

async fn many(c: Client) -> Outcome {
    let mut tasks = Vec::new();
    for worker in 0..100 {
        let mut c = c.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..100 {
                c.put(format!("t/many/{worker}"), format!("{i}"), None).await?;
            }
            Ok::<(), Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn goaway(c: Client) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for worker in 0..8 {
        let (mut c, stop, count) = (c.clone(), stop.clone(), count.clone());
        tasks.push(tokio::spawn(async move {
            let mut last = 0u64;
            let mut wrong = None;
            let mut i = 0u64;
            while !stop.load(Ordering::Relaxed) {
                i += 1;
                match c.put(format!("t/goaway/{worker}"), format!("{i}"), None).await {
                    Ok(_) => {
                        last = i;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    // A connection that breaks under a call is "unknown" or "cancelled" to tonic; a server's answer has no such source.
                    Err(Error::GRpcStatus(s)) if s.code() as i32 == 14 || std::error::Error::source(&s).is_some() => {
                        sleep(Duration::from_millis(10)).await
                    }
                    Err(other) => wrong = Some(other.to_string()),
                }
            }
            (worker, last, wrong)
        }));
    }
    while count.load(Ordering::Relaxed) < 200 {
        sleep(Duration::from_millis(10)).await;
    }
    println!("restart");
    let mut line = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
    let then = count.load(Ordering::Relaxed);
    for _ in 0..3000 {
        if count.load(Ordering::Relaxed) > then + 200 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        let (worker, last, wrong) = task.await?;
        want(wrong.is_none(), format!("{wrong:?}"))?;
        let now = c.clone().get(format!("t/goaway/{worker}"), None).await?;
        let value: u64 = now.kvs()[0].value_str()?.parse()?;
        want(value >= last, format!("{value} after {last} was acknowledged"))?;
    }
    want(count.load(Ordering::Relaxed) > then + 200, "no calls after the restart")
}

#[tokio::main]
async fn main() {
    let endpoint = std::env::args().nth(1).expect("endpoint");
    let only = std::env::args().nth(2).unwrap_or_default();
    let c = Client::connect([endpoint], None).await.expect("connect");
    let mut failed = 0;
    macro_rules! check {
        ($($name:ident),*) => {$(
            if stringify!($name).contains(&only) { match $name(c.clone()).await {
                Ok(()) => println!("ok {}", stringify!($name)),
                Err(error) => {
                    failed += 1;
                    println!("fail {}: {error}", stringify!($name));
                }
            } }
        )*};
    }
    check!(unary, large, server_stream, bidirectional, deadlines, cancellation, errors, metadata, many, goaway);
    std::process::exit(if failed > 0 { 1 } else { 0 });
}
