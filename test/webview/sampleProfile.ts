// A profile as a real service gives one, drawn as an indented tree, for pages that are looked at.

import { ProfileBuilder, type Profile, type ProfileMeta } from '../../src/profile/profile.ts';
import { plainMeta } from '../profile/columns.ts';

const shop = '/srv/shop/current/shop';
const lib = '/usr/lib/python3.11';
const site = '/srv/shop/venv/lib/python3.11/site-packages';

/**
 * `name file:first>line samples[/on a processor]`, two blanks a level. Samples are the call's own.
 */
const trees: Readonly<Record<string, string>> = {
  MainThread: `
<module> ${shop}/worker.py:1>212 0
  main ${shop}/worker.py:180>204 1
    Worker.serve_forever ${shop}/worker.py:96>118 3
      Worker.handle ${shop}/worker.py:61>74 4
        parse_order ${shop}/orders.py:22>31 6
          loads ${lib}/json/__init__.py:299>346 1
            JSONDecoder.decode ${lib}/json/decoder.py:332>337 2
              JSONDecoder.raw_decode ${lib}/json/decoder.py:343>353 21
          Order.from_dict ${shop}/orders.py:44>58 9
            Decimal.__new__ <built-in>:0>0 4
        settle ${shop}/settle.py:12>27 5
          Ledger.apply ${shop}/ledger.py:40>66 14
            Ledger.find_account ${shop}/ledger.py:88>93 47
              casefold_key ${shop}/ledger.py:101>104 58
            Ledger.post ${shop}/ledger.py:110>131 19
              round_half_even ${shop}/money.py:9>15 33
                quantize ${lib}/_pydecimal.py:2512>2570 12
            Ledger.verify ${shop}/ledger.py:140>152 8
              checksum ${shop}/ledger.py:160>171 61
                rotate ${shop}/ledger.py:175>177 38
          TaxTable.lookup ${shop}/tax.py:30>44 23
            bisect_right <built-in>:0>0 7
            TaxTable._reload ${shop}/tax.py:52>60 2
              safe_load ${site}/yaml/__init__.py:117>125 1
                load ${site}/yaml/__init__.py:74>81 0
                  get_single_data ${site}/yaml/constructor.py:47>51 1
                    compose_document ${site}/yaml/composer.py:50>58 3
                      compose_node ${site}/yaml/composer.py:63>82 5
                        compose_mapping_node ${site}/yaml/composer.py:117>133 8
                          compose_node ${site}/yaml/composer.py:63>84 4
                            scan_plain ${site}/yaml/scanner.py:1270>1301 11
                              peek ${site}/yaml/reader.py:91>94 6
        store_result ${shop}/store_client.py:18>36 2
          urlopen ${lib}/urllib/request.py:139>216 1
            OpenerDirector.open ${lib}/urllib/request.py:499>519 1
              HTTPHandler.http_open ${lib}/urllib/request.py:1372>1377 0
                do_open ${lib}/urllib/request.py:1293>1348 1
                  HTTPConnection.request ${lib}/http/client.py:1279>1282 2
                  HTTPConnection.getresponse ${lib}/http/client.py:1346>1395 1
                    HTTPResponse.begin ${lib}/http/client.py:311>318 1
                      readinto ${lib}/socket.py:691>706 44/2
        write_log ${shop}/logs.py:8>19 3
          Logger.info ${lib}/logging/__init__.py:1480>1489 1
            Logger._log ${lib}/logging/__init__.py:1610>1634 2
              StreamHandler.emit ${lib}/logging/__init__.py:1098>1114 4
                Formatter.format ${lib}/logging/__init__.py:680>690 7
                  formatTime ${lib}/logging/__init__.py:610>636 5
`,
  'heartbeat-1': `
Thread._bootstrap ${lib}/threading.py:995>1015 0
  Thread._bootstrap_inner ${lib}/threading.py:1028>1045 0
    Thread.run ${lib}/threading.py:970>982 0
      beat ${shop}/heartbeat.py:14>22 2
        Event.wait ${lib}/threading.py:611>629 0
          Condition.wait ${lib}/threading.py:288>327 486/0
`,
  'pool-0': `
Thread._bootstrap ${lib}/threading.py:995>1015 0
  Thread._bootstrap_inner ${lib}/threading.py:1028>1045 0
    Thread.run ${lib}/threading.py:970>982 0
      _worker ${lib}/concurrent/futures/thread.py:69>83 330/0
        _WorkItem.run ${lib}/concurrent/futures/thread.py:53>58 0
          compress_batch ${shop}/archive.py:33>47 12
            zlib.compress <built-in>:0>0 96
            pack_rows ${shop}/archive.py:60>72 51
`,
};

export const shopMeta: ProfileMeta = {
  ...plainMeta,
  node: 'worker-1',
  pid: 4211,
  command: 'python3 -m shop.worker …',
  durationMs: 10_020,
  rateAskedHz: 49,
  rateGotHz: 48.8,
  sampler: {
    name: 'faultline-probe',
    reason: "Reads the process's memory from outside; the process is never stopped.",
    cpuSeconds: 0.31,
  },
  missed: 2,
  torn: 1,
};

export function shopProfile(meta: Partial<ProfileMeta> = {}): Profile {
  return treeProfile(trees, { ...shopMeta, ...meta });
}

export function treeProfile(threads: Readonly<Record<string, string>>, meta: ProfileMeta): Profile {
  const builder = new ProfileBuilder();
  for (const [threadName, text] of Object.entries(threads)) {
    const thread = builder.thread(threadName);
    const path: number[] = [-1];
    for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
      const match = /^( *)(\S.*) (\S+):(\d+)>(\d+) (\d+)(?:\/(\d+))?$/.exec(line);
      if (match === null) throw new Error(`not a line of a tree: ${line}`);
      const [, indent = '', name = '', file = '', first, now, samples, cpu = samples] = match;
      const depth = indent.length / 2;
      const frame = builder.frame({ name, file, line: Number(first) });
      const stack = builder.push(path[depth]!, [frame, Number(now)]);
      path[depth + 1] = stack;
      if (samples !== '0') {
        builder.sample({ timeMs: 0, stack, thread, wall: Number(samples), cpu: Number(cpu) });
      }
    }
  }
  return builder.build(meta);
}

/** A profile of about `frames` boxes, for measuring: a random tree with a fixed seed. */
export function largeProfile(boxes: number): Profile {
  const builder = new ProfileBuilder();
  const thread = builder.thread('main');
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const frames = Array.from({ length: 2000 }, (_, n) =>
    builder.frame({ name: `function_${n}`, file: `/srv/app/module_${n % 60}.py`, line: n + 1 }),
  );
  let made = 0;
  while (made < boxes) {
    let stack = -1;
    const depth = 5 + Math.floor(random() * 40);
    for (let level = 0; level < depth; level++) {
      // Few choices near the root, many below: the shape of a real call tree.
      const choices = Math.min(frames.length, 2 + level * 3);
      const frame = frames[Math.floor(random() ** 3 * choices) + (level % 7) * 40]!;
      stack = builder.push(stack, [frame, 1]);
      made++;
    }
    builder.sample({ timeMs: 0, stack, thread, wall: 1 + Math.floor(random() * 20), cpu: 1 });
  }
  return builder.build({ ...plainMeta, unit: 'samples' });
}
