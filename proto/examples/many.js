#!/usr/bin/env node
// Many requests at once on one connection, events beside them, and one that is cancelled.
//
//     many.js HOST PORT ADDRESS
//
// Answers come in the order in which the requests finish: the id says whose it is.
'use strict';

const net = require('node:net');

class Connection {
  constructor(host, port, onEvent) {
    this.waiting = new Map();
    this.lastId = 0;
    this.rest = '';
    this.onEvent = onEvent;
    this.socket = net.connect({ host, port });
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text) => this.take(text));
    this.socket.on('error', (reason) => this.fail(reason));
    this.socket.on('close', () => this.fail(new Error('the daemon closed the connection')));
  }

  // { id, answer }: the id is for request.cancel, the answer a promise.
  begin(method, params = {}) {
    const id = ++this.lastId;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.socket.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n');
    return { id, answer };
  }

  call(method, params) {
    return this.begin(method, params).answer;
  }

  // A piece may end anywhere.
  take(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.method !== undefined) {
        this.onEvent(message.method, message.params);
        continue;
      }
      const call = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error !== undefined) {
        const error = new Error(message.error.message);
        call.reject(Object.assign(error, { kind: message.error.data.kind, data: message.error.data }));
      } else {
        call.resolve(message.result);
      }
    }
  }

  fail(reason) {
    for (const call of this.waiting.values()) {
      call.reject(reason);
    }
    this.waiting.clear();
  }
}

async function main(host, port, address) {
  const events = [];
  const connection = new Connection(host, Number(port), (method, params) => events.push(params));
  const hello = await connection.call('server.hello', { client: 'many.js' });
  await connection.call('events.subscribe', { topics: ['operation'] });

  const reads = [];
  for (let i = 0; i < 20; i++) {
    reads.push(connection.call('memory.read_u32', { address: Number(address) + 4 * i }));
  }
  reads.push(connection.call('memory.read_bytes', { address, size: 80, encoding: 'hex' }));
  const results = await Promise.all(reads);
  console.log(`words: ${results.slice(0, 20).map((result) => result.values[0]).join(' ')}`);
  console.log(`bytes: ${results[20].data}`);

  const never = connection.begin('target.wait', { state: 'reset', timeout_ms: 600000 });
  const ended = never.answer.catch((error) => console.log(`wait: ${error.kind}`));
  await connection.call('request.cancel', { id: never.id });
  await ended;

  console.log(`events: ${events.map((event) => event.state).join(' ')}`);
  console.log(`boards: ${hello.boards.join(' ')}`);
  connection.socket.end();
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(`${error.kind ?? 'failed'}: ${error.message}`);
  process.exit(1);
});
