// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import type { MethodDef } from './methods.ts';

export interface ServerReflectionRequest {
  host: string;
  fileByFilename: string | undefined;
  fileContainingSymbol: string | undefined;
  fileContainingExtension: ExtensionRequest | undefined;
  allExtensionNumbersOfType: string | undefined;
  listServices: string | undefined;
}
export const ServerReflectionRequest: Codec<ServerReflectionRequest> = {
  typeName: 'grpc.reflection.v1.ServerReflectionRequest',
  create() {
    return {
      host: '',
      fileByFilename: undefined,
      fileContainingSymbol: undefined,
      fileContainingExtension: undefined,
      allExtensionNumbersOfType: undefined,
      listServices: undefined,
    };
  },
  encode(m) {
    return encodeWith(ServerReflectionRequest, m);
  },
  write(m, w) {
    if (m.host !== undefined && m.host.length !== 0) {
      w.varint32(10);
      w.string(m.host);
    }
    if (m.fileByFilename !== undefined) {
      w.varint32(26);
      w.string(m.fileByFilename);
    }
    if (m.fileContainingSymbol !== undefined) {
      w.varint32(34);
      w.string(m.fileContainingSymbol);
    }
    if (m.fileContainingExtension !== undefined) {
      w.varint32(42);
      const mark = w.beginMessage();
      ExtensionRequest.write(m.fileContainingExtension, w);
      w.endMessage(mark);
    }
    if (m.allExtensionNumbersOfType !== undefined) {
      w.varint32(50);
      w.string(m.allExtensionNumbersOfType);
    }
    if (m.listServices !== undefined) {
      w.varint32(58);
      w.string(m.listServices);
    }
  },
  decode(b) {
    return decodeWith(ServerReflectionRequest, b);
  },
  read(r, end) {
    const m = ServerReflectionRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.host = r.string();
          break;
        case 26:
          m.fileContainingSymbol = undefined;
          m.fileContainingExtension = undefined;
          m.allExtensionNumbersOfType = undefined;
          m.listServices = undefined;
          m.fileByFilename = r.string();
          break;
        case 34:
          m.fileByFilename = undefined;
          m.fileContainingExtension = undefined;
          m.allExtensionNumbersOfType = undefined;
          m.listServices = undefined;
          m.fileContainingSymbol = r.string();
          break;
        case 42:
          m.fileByFilename = undefined;
          m.fileContainingSymbol = undefined;
          m.allExtensionNumbersOfType = undefined;
          m.listServices = undefined;
          m.fileContainingExtension = ExtensionRequest.read(r, r.messageEnd());
          break;
        case 50:
          m.fileByFilename = undefined;
          m.fileContainingSymbol = undefined;
          m.fileContainingExtension = undefined;
          m.listServices = undefined;
          m.allExtensionNumbersOfType = r.string();
          break;
        case 58:
          m.fileByFilename = undefined;
          m.fileContainingSymbol = undefined;
          m.fileContainingExtension = undefined;
          m.allExtensionNumbersOfType = undefined;
          m.listServices = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ExtensionRequest {
  containingType: string;
  extensionNumber: number;
}
export const ExtensionRequest: Codec<ExtensionRequest> = {
  typeName: 'grpc.reflection.v1.ExtensionRequest',
  create() {
    return { containingType: '', extensionNumber: 0 };
  },
  encode(m) {
    return encodeWith(ExtensionRequest, m);
  },
  write(m, w) {
    if (m.containingType !== undefined && m.containingType.length !== 0) {
      w.varint32(10);
      w.string(m.containingType);
    }
    if (m.extensionNumber !== undefined && m.extensionNumber !== 0) {
      w.varint32(16);
      w.int64(m.extensionNumber);
    }
  },
  decode(b) {
    return decodeWith(ExtensionRequest, b);
  },
  read(r, end) {
    const m = ExtensionRequest.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.containingType = r.string();
          break;
        case 16:
          m.extensionNumber = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ServerReflectionResponse {
  validHost: string;
  originalRequest: ServerReflectionRequest | undefined;
  fileDescriptorResponse: FileDescriptorResponse | undefined;
  allExtensionNumbersResponse: ExtensionNumberResponse | undefined;
  listServicesResponse: ListServiceResponse | undefined;
  errorResponse: ErrorResponse | undefined;
}
export const ServerReflectionResponse: Codec<ServerReflectionResponse> = {
  typeName: 'grpc.reflection.v1.ServerReflectionResponse',
  create() {
    return {
      validHost: '',
      originalRequest: undefined,
      fileDescriptorResponse: undefined,
      allExtensionNumbersResponse: undefined,
      listServicesResponse: undefined,
      errorResponse: undefined,
    };
  },
  encode(m) {
    return encodeWith(ServerReflectionResponse, m);
  },
  write(m, w) {
    if (m.validHost !== undefined && m.validHost.length !== 0) {
      w.varint32(10);
      w.string(m.validHost);
    }
    if (m.originalRequest !== undefined) {
      w.varint32(18);
      const mark = w.beginMessage();
      ServerReflectionRequest.write(m.originalRequest, w);
      w.endMessage(mark);
    }
    if (m.fileDescriptorResponse !== undefined) {
      w.varint32(34);
      const mark = w.beginMessage();
      FileDescriptorResponse.write(m.fileDescriptorResponse, w);
      w.endMessage(mark);
    }
    if (m.allExtensionNumbersResponse !== undefined) {
      w.varint32(42);
      const mark = w.beginMessage();
      ExtensionNumberResponse.write(m.allExtensionNumbersResponse, w);
      w.endMessage(mark);
    }
    if (m.listServicesResponse !== undefined) {
      w.varint32(50);
      const mark = w.beginMessage();
      ListServiceResponse.write(m.listServicesResponse, w);
      w.endMessage(mark);
    }
    if (m.errorResponse !== undefined) {
      w.varint32(58);
      const mark = w.beginMessage();
      ErrorResponse.write(m.errorResponse, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ServerReflectionResponse, b);
  },
  read(r, end) {
    const m = ServerReflectionResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.validHost = r.string();
          break;
        case 18:
          m.originalRequest = ServerReflectionRequest.read(r, r.messageEnd());
          break;
        case 34:
          m.allExtensionNumbersResponse = undefined;
          m.listServicesResponse = undefined;
          m.errorResponse = undefined;
          m.fileDescriptorResponse = FileDescriptorResponse.read(r, r.messageEnd());
          break;
        case 42:
          m.fileDescriptorResponse = undefined;
          m.listServicesResponse = undefined;
          m.errorResponse = undefined;
          m.allExtensionNumbersResponse = ExtensionNumberResponse.read(r, r.messageEnd());
          break;
        case 50:
          m.fileDescriptorResponse = undefined;
          m.allExtensionNumbersResponse = undefined;
          m.errorResponse = undefined;
          m.listServicesResponse = ListServiceResponse.read(r, r.messageEnd());
          break;
        case 58:
          m.fileDescriptorResponse = undefined;
          m.allExtensionNumbersResponse = undefined;
          m.listServicesResponse = undefined;
          m.errorResponse = ErrorResponse.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface FileDescriptorResponse {
  fileDescriptorProto: Uint8Array[];
}
export const FileDescriptorResponse: Codec<FileDescriptorResponse> = {
  typeName: 'grpc.reflection.v1.FileDescriptorResponse',
  create() {
    return { fileDescriptorProto: [] };
  },
  encode(m) {
    return encodeWith(FileDescriptorResponse, m);
  },
  write(m, w) {
    if (m.fileDescriptorProto !== undefined)
      for (const e of m.fileDescriptorProto) {
        w.varint32(10);
        w.bytes(e);
      }
  },
  decode(b) {
    return decodeWith(FileDescriptorResponse, b);
  },
  read(r, end) {
    const m = FileDescriptorResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.fileDescriptorProto.push(r.bytes());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ExtensionNumberResponse {
  baseTypeName: string;
  extensionNumber: number[];
}
export const ExtensionNumberResponse: Codec<ExtensionNumberResponse> = {
  typeName: 'grpc.reflection.v1.ExtensionNumberResponse',
  create() {
    return { baseTypeName: '', extensionNumber: [] };
  },
  encode(m) {
    return encodeWith(ExtensionNumberResponse, m);
  },
  write(m, w) {
    if (m.baseTypeName !== undefined && m.baseTypeName.length !== 0) {
      w.varint32(10);
      w.string(m.baseTypeName);
    }
    if (m.extensionNumber !== undefined && m.extensionNumber.length !== 0) {
      w.varint32(18);
      const mark = w.beginMessage();
      for (const e of m.extensionNumber) w.int64(e);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(ExtensionNumberResponse, b);
  },
  read(r, end) {
    const m = ExtensionNumberResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.baseTypeName = r.string();
          break;
        case 16:
          m.extensionNumber.push(r.int32());
          break;
        case 18: {
          const stop = r.messageEnd();
          while (r.pos < stop) m.extensionNumber.push(r.int32());
          break;
        }
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ListServiceResponse {
  service: ServiceResponse[];
}
export const ListServiceResponse: Codec<ListServiceResponse> = {
  typeName: 'grpc.reflection.v1.ListServiceResponse',
  create() {
    return { service: [] };
  },
  encode(m) {
    return encodeWith(ListServiceResponse, m);
  },
  write(m, w) {
    if (m.service !== undefined)
      for (const e of m.service) {
        w.varint32(10);
        const mark = w.beginMessage();
        ServiceResponse.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(ListServiceResponse, b);
  },
  read(r, end) {
    const m = ListServiceResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.service.push(ServiceResponse.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ServiceResponse {
  name: string;
}
export const ServiceResponse: Codec<ServiceResponse> = {
  typeName: 'grpc.reflection.v1.ServiceResponse',
  create() {
    return { name: '' };
  },
  encode(m) {
    return encodeWith(ServiceResponse, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.string(m.name);
    }
  },
  decode(b) {
    return decodeWith(ServiceResponse, b);
  },
  read(r, end) {
    const m = ServiceResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface ErrorResponse {
  errorCode: number;
  errorMessage: string;
}
export const ErrorResponse: Codec<ErrorResponse> = {
  typeName: 'grpc.reflection.v1.ErrorResponse',
  create() {
    return { errorCode: 0, errorMessage: '' };
  },
  encode(m) {
    return encodeWith(ErrorResponse, m);
  },
  write(m, w) {
    if (m.errorCode !== undefined && m.errorCode !== 0) {
      w.varint32(8);
      w.int64(m.errorCode);
    }
    if (m.errorMessage !== undefined && m.errorMessage.length !== 0) {
      w.varint32(18);
      w.string(m.errorMessage);
    }
  },
  decode(b) {
    return decodeWith(ErrorResponse, b);
  },
  read(r, end) {
    const m = ErrorResponse.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.errorCode = r.int32();
          break;
        case 18:
          m.errorMessage = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const ServerReflection = {
  serverReflectionInfo: {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    service: 'grpc.reflection.v1.ServerReflection',
    name: 'ServerReflectionInfo',
    request: ServerReflectionRequest,
    response: ServerReflectionResponse,
    requestStream: true,
    responseStream: true,
    httpPath: '',
  } as MethodDef<ServerReflectionRequest, ServerReflectionResponse>,
} as const;
