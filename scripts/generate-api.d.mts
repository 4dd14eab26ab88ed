import type protobuf from 'protobufjs';
export function loadRoot(): protobuf.Root;
