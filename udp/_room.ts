/**
 * The clients of the chat. UDP has no connections, so this is all that the server knows of them.
 *
 * @module
 */
import { formatAddress } from "../cli.ts";

/** A client's state. All of it has a size limit, because any datagram creates one. */
export interface Member {
  readonly addr: Deno.NetAddr;
  readonly place: string;
  name: string;
  /** When its last datagram arrived, in milliseconds. */
  lastSeen: number;
  /** The highest sequence number relayed. A message with this or a lower number is a duplicate: its echo was lost. */
  lastSequence: number;
}

/** The members of a chat, by their addresses. */
export class Room {
  readonly #members = new Map<string, Member>();

  constructor(readonly capacity: number) {}

  /** The member with this address. */
  find(addr: Deno.NetAddr): Member | undefined {
    return this.#members.get(formatAddress(addr));
  }

  /** Adds a member, whose name is its address at first; `undefined` when the room is full. */
  join(addr: Deno.NetAddr): Member | undefined {
    if (this.#members.size >= this.capacity) return undefined;
    const place = formatAddress(addr);
    const member: Member = { addr, place, name: place, lastSeen: Date.now(), lastSequence: 0 };
    this.#members.set(place, member);
    return member;
  }

  /** Removes a member. False when it has left before. */
  leave(member: Member): boolean {
    return this.#members.delete(member.place);
  }

  members(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** Whether another member than this one has a name. Upper and lower case count as the same. */
  isTaken(name: string, member: Member): boolean {
    const wanted = name.toLowerCase();
    return [...this.members()].some((other) => other !== member && other.name.toLowerCase() === wanted);
  }

  /** The names, cut to about `size` bytes, and how many more there are. */
  names(size: number): { names: string[]; more: number } {
    const names: string[] = [];
    let length = 0;
    for (const { name } of this.members()) {
      if ((length += name.length + 2) > size) break;
      names.push(name);
    }
    return { names, more: this.#members.size - names.length };
  }
}
