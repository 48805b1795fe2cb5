// A mail server that wants STARTTLS and a password (npm's smtp-server), and prints each mail that it takes.
//
// node starttls.cjs MODULES CERTIFICATE KEY, with user and password in the environment.
const { readFileSync } = require("node:fs");

const [modules, certificate, key] = process.argv.slice(2);
const { SMTPServer } = require(require.resolve("smtp-server", { paths: [modules] }));
const { SMTP_USER, SMTP_PASSWORD } = process.env;

const server = new SMTPServer({
  cert: readFileSync(certificate),
  key: readFileSync(key),
  onAuth({ username, password }, _session, done) {
    const isRight = username === SMTP_USER && password === SMTP_PASSWORD;
    return isRight ? done(null, { user: username }) : done(new Error("wrong"));
  },
  onData(stream, session, done) {
    let source = "";
    stream.setEncoding("utf8");
    stream.on("data", (part) => (source += part));
    stream.on("end", () => {
      const to = session.envelope.rcptTo.map(({ address }) => address);
      console.log(`taken ${JSON.stringify({ to, user: session.user, tls: session.secure, source })}`);
      done();
    });
  },
});
server.on("error", ({ message }) => console.log(`refused ${message}`));
server.listen(0, "127.0.0.1", () => console.log(`listening address=127.0.0.1:${server.server.address().port}`));
