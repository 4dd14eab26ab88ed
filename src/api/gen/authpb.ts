// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';

const empty = new Uint8Array(0);

export interface UserAddOptions {
  noPassword: boolean;
}
export const UserAddOptions: Codec<UserAddOptions> = {
  typeName: 'authpb.UserAddOptions',
  create() {
    return { noPassword: false };
  },
  encode(m) {
    return encodeWith(UserAddOptions, m);
  },
  write(m, w) {
    if (m.noPassword === true) {
      w.varint32(8);
      w.varint32(m.noPassword ? 1 : 0);
    }
  },
  decode(b) {
    return decodeWith(UserAddOptions, b);
  },
  read(r, end) {
    const m = UserAddOptions.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.noPassword = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface User {
  name: Uint8Array;
  password: Uint8Array;
  roles: string[];
  options: UserAddOptions | undefined;
}
export const User: Codec<User> = {
  typeName: 'authpb.User',
  create() {
    return { name: empty, password: empty, roles: [], options: undefined };
  },
  encode(m) {
    return encodeWith(User, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.bytes(m.name);
    }
    if (m.password !== undefined && m.password.length !== 0) {
      w.varint32(18);
      w.bytes(m.password);
    }
    if (m.roles !== undefined)
      for (const e of m.roles) {
        w.varint32(26);
        w.string(e);
      }
    if (m.options !== undefined) {
      w.varint32(34);
      const mark = w.beginMessage();
      UserAddOptions.write(m.options, w);
      w.endMessage(mark);
    }
  },
  decode(b) {
    return decodeWith(User, b);
  },
  read(r, end) {
    const m = User.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.bytes();
          break;
        case 18:
          m.password = r.bytes();
          break;
        case 26:
          m.roles.push(r.string());
          break;
        case 34:
          m.options = UserAddOptions.read(r, r.messageEnd());
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export interface Permission {
  permType: Permission_Type;
  key: Uint8Array;
  rangeEnd: Uint8Array;
}
export const Permission: Codec<Permission> = {
  typeName: 'authpb.Permission',
  create() {
    return { permType: 0, key: empty, rangeEnd: empty };
  },
  encode(m) {
    return encodeWith(Permission, m);
  },
  write(m, w) {
    if (m.permType !== undefined && m.permType !== 0) {
      w.varint32(8);
      w.int64(m.permType);
    }
    if (m.key !== undefined && m.key.length !== 0) {
      w.varint32(18);
      w.bytes(m.key);
    }
    if (m.rangeEnd !== undefined && m.rangeEnd.length !== 0) {
      w.varint32(26);
      w.bytes(m.rangeEnd);
    }
  },
  decode(b) {
    return decodeWith(Permission, b);
  },
  read(r, end) {
    const m = Permission.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.permType = r.int32();
          break;
        case 18:
          m.key = r.bytes();
          break;
        case 26:
          m.rangeEnd = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};

export const Permission_Type = { READ: 0, WRITE: 1, READWRITE: 2 } as const;
export type Permission_Type = number;

export interface Role {
  name: Uint8Array;
  keyPermission: Permission[];
}
export const Role: Codec<Role> = {
  typeName: 'authpb.Role',
  create() {
    return { name: empty, keyPermission: [] };
  },
  encode(m) {
    return encodeWith(Role, m);
  },
  write(m, w) {
    if (m.name !== undefined && m.name.length !== 0) {
      w.varint32(10);
      w.bytes(m.name);
    }
    if (m.keyPermission !== undefined)
      for (const e of m.keyPermission) {
        w.varint32(18);
        const mark = w.beginMessage();
        Permission.write(e, w);
        w.endMessage(mark);
      }
  },
  decode(b) {
    return decodeWith(Role, b);
  },
  read(r, end) {
    const m = Role.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.name = r.bytes();
          break;
        case 18:
          m.keyPermission.push(Permission.read(r, r.messageEnd()));
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
