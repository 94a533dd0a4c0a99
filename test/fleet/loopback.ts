// Nodes without root: one sshd a loopback address, all as the present user, one directory tree
// each.

import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { UserError } from '../../src/base/errors.ts';
import type { Ground } from './ground.ts';
import { NODE_PLANS, addressOf, type Addresses } from './plan.ts';

const SUBNETS = 250;

export async function loopbackGround(): Promise<Ground> {
  // sshd's own fixed directory, which Debian's service makes at boot; started by root it insists on
  // it
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const { addresses, reservation } = await reserveAddresses();
  return {
    addresses,
    user: userInfo().username,
    launcher: [],
    connect: () => Promise.resolve(),
    settle: () => reservation.close(),
  };
}

/**
 * All of 127.0.0.0/8 is this machine, so each fleet takes a 127.231.N of its own. Listening on
 * 127.231.N.1 keeps other fleets away until the nodes themselves listen.
 */
async function reserveAddresses(): Promise<{ addresses: Addresses; reservation: Server }> {
  const first = Math.floor(Math.random() * SUBNETS);
  for (let turn = 0; turn < SUBNETS; turn++) {
    const prefix = `127.231.${1 + ((first + turn) % SUBNETS)}`;
    // other ports each time as well: a program may listen on one of them at every address
    const [sshPort, httpPort] = [2222 + turn, 7461 + turn];
    const addresses: Addresses = { mode: 'loopback', prefix, sshPort, httpPort };
    const reservation = await listen(`${prefix}.1`, addresses.sshPort);
    if (reservation === undefined) continue;
    if (await areFree(addresses)) return { addresses, reservation };
    reservation.close();
  }
  throw new UserError('fleet.noAddress', 'No loopback addresses 127.231.N are free.', {
    hint: 'Stop a demo fleet that is still running.',
  });
}

async function areFree(addresses: Addresses): Promise<boolean> {
  for (const { name } of NODE_PLANS) {
    for (const port of [addresses.sshPort, addresses.httpPort]) {
      const server = await listen(addressOf(addresses, name), port);
      if (server === undefined) return false;
      await new Promise((resolve) => server.close(resolve));
    }
  }
  return true;
}

/** undefined when the address is taken. */
function listen(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}
