/**
 * Ranges of keys and who is interested in them: an AVL tree ordered by (start, end) in which each node knows the greatest end below it.
 *
 *     watchers  A: [a, c)   B: [b, m)   C: [k, ∞)        find('b') visits  B's node, A's node; C starts later and is cut off
 *
 * Equal ranges share a node, so a thousand watchers of one prefix cost one comparison. Keys are latin1 strings (one character a byte, so
 * string order is byte order); the end '' has no upper bound.
 */

export interface Interval {
  readonly keyText: string;
  /** Exclusive; '' = unbounded. */
  readonly endText: string;
}

class Node<T> {
  readonly start: string;
  readonly end: string;
  readonly members = new Set<T>();
  maxEnd: string;
  height = 1;
  left: Node<T> | undefined = undefined;
  right: Node<T> | undefined = undefined;

  constructor(start: string, end: string) {
    this.start = start;
    this.end = end;
    this.maxEnd = end;
  }
}

export class IntervalTree<T extends Interval> {
  #root: Node<T> | undefined;

  get empty(): boolean {
    return this.#root === undefined;
  }

  add(item: T): void {
    this.#root = insert(this.#root, item);
  }

  /** The item must be in the tree. */
  delete(item: T): void {
    this.#root = remove(this.#root, item);
  }

  /** Appends to `out` every item whose range holds `key`. */
  find(key: string, out: T[]): void {
    if (this.#root !== undefined) stab(this.#root, key, out);
  }
}

function stab<T>(from: Node<T>, key: string, out: T[]): void {
  let node: Node<T> | undefined = from;
  while (node !== undefined && (node.maxEnd === '' || key < node.maxEnd)) {
    if (node.left !== undefined) stab(node.left, key, out);
    if (key < node.start) return;
    if (node.end === '' || key < node.end) for (const member of node.members) out.push(member);
    node = node.right;
  }
}

function order(item: Interval, node: Node<unknown>): number {
  if (item.keyText !== node.start) return item.keyText < node.start ? -1 : 1;
  return item.endText === node.end ? 0 : item.endText < node.end ? -1 : 1;
}

function insert<T extends Interval>(node: Node<T> | undefined, item: T): Node<T> {
  if (node === undefined) {
    const leaf = new Node<T>(item.keyText, item.endText);
    leaf.members.add(item);
    return leaf;
  }
  const side = order(item, node);
  if (side === 0) {
    node.members.add(item);
    return node;
  }
  if (side < 0) node.left = insert(node.left, item);
  else node.right = insert(node.right, item);
  return balance(node);
}

function remove<T extends Interval>(node: Node<T> | undefined, item: T): Node<T> | undefined {
  if (node === undefined) return undefined;
  const side = order(item, node);
  if (side < 0) node.left = remove(node.left, item);
  else if (side > 0) node.right = remove(node.right, item);
  else {
    node.members.delete(item);
    return node.members.size > 0 ? node : unlink(node);
  }
  return balance(node);
}

/** What stands in the node's place once it is gone. */
function unlink<T>(node: Node<T>): Node<T> | undefined {
  if (node.left === undefined) return node.right;
  if (node.right === undefined) return node.left;
  let successor = node.right;
  while (successor.left !== undefined) successor = successor.left;
  const right = withoutLeftmost(node.right);
  successor.left = node.left;
  successor.right = right;
  return balance(successor);
}

function withoutLeftmost<T>(node: Node<T>): Node<T> | undefined {
  if (node.left === undefined) return node.right;
  node.left = withoutLeftmost(node.left);
  return balance(node);
}

function heightOf(node: Node<unknown> | undefined): number {
  return node === undefined ? 0 : node.height;
}

function refresh(node: Node<unknown>): void {
  const { left, right } = node;
  node.height = 1 + Math.max(heightOf(left), heightOf(right));
  let end = node.end;
  if (left !== undefined) end = later(end, left.maxEnd);
  if (right !== undefined) end = later(end, right.maxEnd);
  node.maxEnd = end;
}

function later(a: string, b: string): string {
  return a === '' || b === '' ? '' : a > b ? a : b;
}

function balance<T>(node: Node<T>): Node<T> {
  refresh(node);
  const lean = heightOf(node.left) - heightOf(node.right);
  if (lean > 1 && node.left !== undefined) {
    if (heightOf(node.left.left) < heightOf(node.left.right)) node.left = rotateLeft(node.left);
    return rotateRight(node);
  }
  if (lean < -1 && node.right !== undefined) {
    if (heightOf(node.right.right) < heightOf(node.right.left)) node.right = rotateRight(node.right);
    return rotateLeft(node);
  }
  return node;
}

function rotateLeft<T>(node: Node<T>): Node<T> {
  const top = node.right;
  if (top === undefined) return node;
  node.right = top.left;
  top.left = node;
  refresh(node);
  refresh(top);
  return top;
}

function rotateRight<T>(node: Node<T>): Node<T> {
  const top = node.left;
  if (top === undefined) return node;
  node.left = top.right;
  top.right = node;
  refresh(node);
  refresh(top);
  return top;
}
