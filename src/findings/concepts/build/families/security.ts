/** @file Vulnerable code against the same code made safe: patterns written for Monoscope, and the demonstrative examples of MITRE's Common Weakness Enumeration. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DomUtils, ElementType, parseDocument } from "htmlparser2";
import { decoded } from "../../../../corpus/build/readers.ts";
import type { Half, LabelledText } from "../../concept-set.ts";
import { drawTexts, type Family, HALVES, type Halves, negative, positive, WRITTEN, WRITTEN_LICENCE } from "../draft.ts";
import type { Unpacked } from "../packages.ts";

interface Pair {
  language: string;
  unsafe: string;
  safe: string;
}

interface Weakness {
  about: string;
  /** Numbers in the enumeration. */
  cwe: readonly number[];
  pairs: Halves<readonly Pair[]>;
}

/** `‹t›` a table or file, `‹c›` a column or name, `‹v›` a variable, `‹f›` a function. */
const FILLINGS: Halves<readonly Readonly<Record<string, string>>[]> = {
  choose: [
    { t: "users", c: "email", v: "address", f: "find_user" },
    { t: "orders", c: "customer", v: "customer_id", f: "list_orders" },
    { t: "products", c: "title", v: "query", f: "search" },
    { t: "messages", c: "sender", v: "name", f: "inbox" },
    { t: "photos", c: "album", v: "album", f: "show_album" },
    { t: "invoices", c: "number", v: "number", f: "open_invoice" },
  ],
  test: [
    { t: "patients", c: "surname", v: "surname", f: "lookup" },
    { t: "books", c: "author", v: "author", f: "by_author" },
    { t: "tickets", c: "status", v: "state", f: "filter_tickets" },
    { t: "cities", c: "country", v: "country", f: "cities_of" },
    { t: "songs", c: "artist", v: "artist", f: "play_all" },
    { t: "players", c: "team", v: "team", f: "roster" },
  ],
};

const py = (unsafe: string, safe: string): Pair => ({ language: "python", unsafe, safe });
const js = (unsafe: string, safe: string): Pair => ({ language: "javascript", unsafe, safe });
const php = (unsafe: string, safe: string): Pair => ({ language: "php", unsafe, safe });
const java = (unsafe: string, safe: string): Pair => ({ language: "java", unsafe, safe });
const c = (unsafe: string, safe: string): Pair => ({ language: "c", unsafe, safe });

const WEAKNESSES: Readonly<Record<string, Weakness>> = {
  "sql-injection": {
    about: "Code that puts input into a query as text, so that it can be changed by it.",
    cwe: [89],
    pairs: {
      choose: [
        py(
          'def ‹f›(db, ‹v›):\n    return db.execute("SELECT * FROM ‹t› WHERE ‹c› = \'" + ‹v› + "\'").fetchall()',
          'def ‹f›(db, ‹v›):\n    return db.execute("SELECT * FROM ‹t› WHERE ‹c› = ?", (‹v›,)).fetchall()',
        ),
        js(
          "app.get('/‹t›', async (req, res) => {\n  const rows = await db.query('SELECT * FROM ‹t› WHERE ‹c› = ' + req.query.‹v›);\n  res.json(rows);\n});",
          "app.get('/‹t›', async (req, res) => {\n  const rows = await db.query('SELECT * FROM ‹t› WHERE ‹c› = $1', [req.query.‹v›]);\n  res.json(rows);\n});",
        ),
        php(
          '$result = mysqli_query($link, "SELECT * FROM ‹t› WHERE ‹c› = \'" . $_GET["‹v›"] . "\'");',
          '$query = $pdo->prepare("SELECT * FROM ‹t› WHERE ‹c› = ?");\n$query->execute([$_GET["‹v›"]]);',
        ),
        java(
          'Statement s = connection.createStatement();\nResultSet r = s.executeQuery("SELECT * FROM ‹t› WHERE ‹c› = \'" + ‹v› + "\'");',
          'PreparedStatement s = connection.prepareStatement("SELECT * FROM ‹t› WHERE ‹c› = ?");\ns.setString(1, ‹v›);\nResultSet r = s.executeQuery();',
        ),
      ],
      test: [
        py(
          '‹v› = request.args["‹v›"]\ncursor.execute(f"DELETE FROM ‹t› WHERE ‹c› = \'{‹v›}\'")',
          '‹v› = request.args["‹v›"]\ncursor.execute("DELETE FROM ‹t› WHERE ‹c› = %s", (‹v›,))',
        ),
        py(
          "def ‹f›(session, ‹v›):\n    sql = \"UPDATE ‹t› SET seen = 1 WHERE ‹c› = '%s'\" % ‹v›\n    session.execute(sql)",
          'def ‹f›(session, ‹v›):\n    sql = "UPDATE ‹t› SET seen = 1 WHERE ‹c› = :value"\n    session.execute(sql, {"value": ‹v›})',
        ),
        java(
          'String sql = String.format("INSERT INTO ‹t› (‹c›) VALUES (\'%s\')", request.getParameter("‹v›"));\nconnection.createStatement().executeUpdate(sql);',
          'PreparedStatement s = connection.prepareStatement("INSERT INTO ‹t› (‹c›) VALUES (?)");\ns.setString(1, request.getParameter("‹v›"));\ns.executeUpdate();',
        ),
        php(
          "$rows = $db->query(\"SELECT id FROM ‹t› WHERE ‹c› LIKE '%{$_POST['‹v›']}%'\");",
          '$rows = $db->prepare("SELECT id FROM ‹t› WHERE ‹c› LIKE ?");\n$rows->execute(["%" . $_POST[\'‹v›\'] . "%"]);',
        ),
      ],
    },
  },
  "shell-injection": {
    about: "Code that puts input into a command line that a shell reads.",
    cwe: [77, 78],
    pairs: {
      choose: [
        py(
          'import os\n\ndef ‹f›(‹v›):\n    os.system("tar -czf ‹t›.tar.gz " + ‹v›)',
          'import subprocess\n\ndef ‹f›(‹v›):\n    subprocess.run(["tar", "-czf", "‹t›.tar.gz", "--", ‹v›], check=True)',
        ),
        py(
          'subprocess.call("convert %s ‹t›.png" % request.form["‹v›"], shell=True)',
          'subprocess.call(["convert", request.form["‹v›"], "‹t›.png"], shell=False)',
        ),
        js(
          "const { exec } = require('child_process');\nexec('grep ' + req.query.‹v› + ' ‹t›.log', (error, out) => res.send(out));",
          "const { execFile } = require('child_process');\nexecFile('grep', ['--', req.query.‹v›, '‹t›.log'], (error, out) => res.send(out));",
        ),
        php('system("ls -l /data/‹t›/" . $_GET["‹v›"]);', 'system("ls -l /data/‹t›/" . escapeshellarg($_GET["‹v›"]));'),
      ],
      test: [
        py(
          'def ‹f›(‹v›):\n    return subprocess.check_output(f"ping -c 1 {‹v›}", shell=True)',
          'def ‹f›(‹v›):\n    return subprocess.check_output(["ping", "-c", "1", ‹v›])',
        ),
        c(
          'void ‹f›(const char *‹v›) {\n    char command[256];\n    snprintf(command, sizeof command, "cat ‹t›/%s", ‹v›);\n    system(command);\n}',
          'void ‹f›(const char *‹v›) {\n    char path[256];\n    snprintf(path, sizeof path, "‹t›/%s", ‹v›);\n    execl("/bin/cat", "cat", path, (char *)0);\n}',
        ),
        js(
          "app.post('/‹t›', (req, res) => {\n  execSync('git clone ' + req.body.‹v›);\n  res.end();\n});",
          "app.post('/‹t›', (req, res) => {\n  execFileSync('git', ['clone', '--', req.body.‹v›]);\n  res.end();\n});",
        ),
        java(
          'Runtime.getRuntime().exec(new String[] {"sh", "-c", "lpr " + request.getParameter("‹v›")});',
          'new ProcessBuilder("lpr", "--", request.getParameter("‹v›")).start();',
        ),
      ],
    },
  },
  "hard-coded-password": {
    about: "Code with a password or key in it.",
    cwe: [259, 798],
    pairs: {
      choose: [
        py(
          'db = connect(host="‹t›.example.com", user="‹v›", password="hunter2-‹c›")',
          'db = connect(host="‹t›.example.com", user="‹v›", password=os.environ["‹c›"])',
        ),
        js(
          "const client = new Client({ user: '‹v›', database: '‹t›', password: 'S3cret!‹c›' });",
          "const client = new Client({ user: '‹v›', database: '‹t›', password: process.env.PASSWORD });",
        ),
        java(
          'private static final String PASSWORD = "‹t›2019!";\n\nConnection ‹f›() throws SQLException {\n    return DriverManager.getConnection(URL, "‹v›", PASSWORD);\n}',
          'private final String password = System.getenv("DB_PASSWORD");\n\nConnection ‹f›() throws SQLException {\n    return DriverManager.getConnection(URL, "‹v›", password);\n}',
        ),
        py(
          'def ‹f›(‹v›, given):\n    return given == "letmein-‹t›"',
          'def ‹f›(‹v›, given):\n    return verify(given, stored_hash("‹t›", ‹v›))',
        ),
      ],
      test: [
        py(
          'API_KEY = "sk_live_‹t›83hF20dkQ"\n\ndef ‹f›(‹v›):\n    return get("/‹t›", params={"‹c›": ‹v›}, headers={"Authorization": API_KEY})',
          'API_KEY = keyring.get_password("‹t›", "api")\n\ndef ‹f›(‹v›):\n    return get("/‹t›", params={"‹c›": ‹v›}, headers={"Authorization": API_KEY})',
        ),
        c(
          'int ‹f›(const char *‹v›) {\n    return strcmp(‹v›, "Tr0ub4dor-‹t›") == 0;\n}',
          'int ‹f›(const char *‹v›) {\n    return check_against_hash(‹v›, load_hash("‹t›")) == 0;\n}',
        ),
        php(
          '$link = mysqli_connect("localhost", "‹v›", "pa55word-‹c›", "‹t›");',
          '$link = mysqli_connect("localhost", "‹v›", getenv("‹c›_SECRET"), "‹t›");',
        ),
        js(
          "if (req.body.password === 'admin-‹t›') {\n  session.‹v› = true;\n}",
          "if (await bcrypt.compare(req.body.password, user.hash)) {\n  session.‹v› = true; // may edit ‹t›\n}",
        ),
      ],
    },
  },
  "eval-of-input": {
    about: "Code that runs its input as a program.",
    cwe: [94, 95],
    pairs: {
      choose: [
        py('‹v› = input("‹c›: ")\nprint("‹t›:", eval(‹v›))', '‹v› = input("‹c›: ")\nprint("‹t›:", int(‹v›))'),
        js(
          "app.get('/‹t›', (req, res) => {\n  res.json({ ‹c›: eval(req.query.‹v›) });\n});",
          "app.get('/‹t›', (req, res) => {\n  res.json({ ‹c›: JSON.parse(req.query.‹v›) });\n});",
        ),
        php("eval('$‹t› = ' . $_GET[\"‹v›\"] . ';');\necho $‹t›;", '$‹t› = (float) $_GET["‹v›"];\necho $‹t›;'),
        py(
          'def ‹f›(request):\n    exec(request.POST["‹v›"])\n    return redirect("/‹t›")',
          'def ‹f›(request):\n    ACTIONS[request.POST["‹v›"]]()\n    return redirect("/‹t›")',
        ),
      ],
      test: [
        js(
          "const ‹f› = new Function('‹v›', 'return ' + location.hash.slice(1));\nshow('‹t›', ‹f›(1));",
          "const ‹f› = FUNCTIONS.get(location.hash.slice(1));\nshow('‹t›', ‹f›(1));",
        ),
        py(
          'with open("‹t›.conf") as file, connect() as peer:\n    ‹v› = eval(peer.recv(1024))\n    save(‹v›, file)',
          'with open("‹t›.conf") as file, connect() as peer:\n    ‹v› = ast.literal_eval(peer.recv(1024).decode())\n    save(‹v›, file)',
        ),
        js(
          "window.addEventListener('message', (event) => {\n  setTimeout(event.data.‹v›, 100); // a text, run as code\n});",
          "window.addEventListener('message', (event) => {\n  setTimeout(() => show('‹t›', event.data.‹v›), 100);\n});",
        ),
        {
          language: "ruby",
          unsafe: "def ‹f›(params)\n  instance_eval(params[:‹v›])\nend",
          safe: "def ‹f›(params)\n  ‹t›.fetch(params[:‹v›].to_sym)\nend",
        },
      ],
    },
  },
  "weak-hash": {
    about: "Code that protects passwords or data with a broken hash or cipher (MD5, SHA-1, DES).",
    cwe: [327, 328, 916],
    pairs: {
      choose: [
        py(
          "def ‹f›(password):\n    return hashlib.md5(password.encode()).hexdigest()  # stored in ‹t›",
          "def ‹f›(password):\n    return argon2.hash(password.encode())  # stored in ‹t›",
        ),
        java(
          'MessageDigest digest = MessageDigest.getInstance("MD5");\nbyte[] ‹v› = digest.digest(password.getBytes());\nsave("‹t›", ‹v›);',
          'MessageDigest digest = MessageDigest.getInstance("SHA-512");\nbyte[] ‹v› = digest.digest(document.getBytes());\nsave("‹t›", ‹v›);',
        ),
        php(
          '$stmt->execute([$_POST["‹v›"], md5($_POST["password"])]); // ‹t›',
          '$stmt->execute([$_POST["‹v›"], password_hash($_POST["password"], PASSWORD_ARGON2ID)]); // ‹t›',
        ),
        js(
          "const token = crypto.createHash('md5').update(‹v› + secret).digest('hex');\nset('‹t›', token);",
          "const token = crypto.createHmac('sha256', secret).update(‹v›).digest('hex');\nset('‹t›', token);",
        ),
      ],
      test: [
        py(
          'key = hashlib.sha1(‹v›.encode() + salt).digest()\nstore("‹t›", key)',
          'key = hashlib.scrypt(‹v›.encode(), salt=salt, n=2**14, r=8, p=1)\nstore("‹t›", key)',
        ),
        java(
          'Cipher cipher = Cipher.getInstance("DES/ECB/PKCS5Padding");\ncipher.init(Cipher.ENCRYPT_MODE, key);\nwrite("‹t›", cipher.doFinal(‹v›));',
          'Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");\ncipher.init(Cipher.ENCRYPT_MODE, key, iv);\nwrite("‹t›", cipher.doFinal(‹v›));',
        ),
        c(
          'unsigned char out[16];\nMD5((unsigned char *)‹v›, strlen(‹v›), out);\nput("‹t›", out, sizeof out);',
          'unsigned char out[32];\ncrypto_pwhash(out, sizeof out, ‹v›, strlen(‹v›), salt, OPS, MEM, ALG);\nput("‹t›", out, sizeof out);',
        ),
        py(
          'def ‹f›(user, given):\n    return user.‹c›_hash == hashlib.new("md4", given.encode()).hexdigest()',
          "def ‹f›(user, given):\n    return bcrypt.checkpw(given.encode(), user.‹c›_hash)",
        ),
      ],
    },
  },
  "unsafe-deserialisation": {
    about: "Code that rebuilds objects from bytes that somebody else sent.",
    cwe: [502],
    pairs: {
      choose: [
        py(
          'def ‹f›(request):\n    return pickle.loads(base64.b64decode(request.cookies["‹v›"]))',
          'def ‹f›(request):\n    return json.loads(base64.b64decode(request.cookies["‹v›"]))',
        ),
        java(
          "ObjectInputStream in = new ObjectInputStream(socket.getInputStream());\n‹c› = in.readObject();",
          'JsonReader in = Json.createReader(socket.getInputStream());\n‹c› = in.readObject().getString("‹v›");',
        ),
        php('$‹v› = unserialize($_COOKIE["‹t›"]);', '$‹v› = json_decode($_COOKIE["‹t›"], true);'),
        py(
          '‹v› = yaml.load(request.data, Loader=yaml.UnsafeLoader)\n‹f›(‹v›["‹t›"])',
          '‹v› = yaml.safe_load(request.data)\n‹f›(‹v›["‹t›"])',
        ),
      ],
      test: [
        {
          language: "ruby",
          unsafe: "def ‹f›(params)\n  Marshal.load(Base64.decode64(params[:‹v›]))\nend",
          safe: "def ‹f›(params)\n  JSON.parse(Base64.decode64(params[:‹v›]))\nend",
        },
        py(
          'async def ‹f›(websocket):\n    async for message in websocket:\n        ‹v› = dill.loads(message)\n        await save("‹t›", ‹v›)',
          'async def ‹f›(websocket):\n    async for message in websocket:\n        ‹v› = msgpack.unpackb(message)\n        await save("‹t›", ‹v›)',
        ),
        js(
          "const serialize = require('node-serialize');\nconst ‹v› = serialize.unserialize(req.body.‹t›);",
          "const ‹v› = schema.parse(JSON.parse(req.body.‹t›));",
        ),
        py(
          'import shelve, urllib.request\n\nurllib.request.urlretrieve(url, "‹t›.db")\n‹v› = shelve.open("‹t›.db")["‹c›"]',
          'import sqlite3, urllib.request\n\nurllib.request.urlretrieve(url, "‹t›.db")\n‹v› = sqlite3.connect("‹t›.db").execute("SELECT ‹c› FROM ‹t›").fetchall()',
        ),
      ],
    },
  },
  "buffer-overflow": {
    about: "C that writes beyond the end of an array.",
    cwe: [120, 121, 122, 787],
    pairs: {
      choose: [
        c(
          'void ‹f›(const char *‹v›) {\n    char ‹c›[16];\n    strcpy(‹c›, ‹v›);\n    printf("‹t›: %s\\n", ‹c›);\n}',
          'void ‹f›(const char *‹v›) {\n    char ‹c›[16];\n    snprintf(‹c›, sizeof ‹c›, "%s", ‹v›);\n    printf("‹t›: %s\\n", ‹c›);\n}',
        ),
        c('char ‹v›[32];\nprintf("‹t›? ");\ngets(‹v›);', 'char ‹v›[32];\nprintf("‹t›? ");\nfgets(‹v›, sizeof ‹v›, stdin);'),
        c('char ‹c›[8];\nscanf("%s", ‹c›);\n‹f›(‹c›);', 'char ‹c›[8];\nscanf("%7s", ‹c›);\n‹f›(‹c›);'),
        c(
          "void ‹f›(int fd) {\n    char ‹v›[64];\n    read(fd, ‹v›, 4096);\n}",
          "void ‹f›(int fd) {\n    char ‹v›[64];\n    read(fd, ‹v›, sizeof ‹v›);\n}",
        ),
      ],
      test: [
        c(
          'char *‹f›(const char *‹v›) {\n    char *copy = malloc(8);\n    strcat(strcpy(copy, "‹t›/"), ‹v›);\n    return copy;\n}',
          'char *‹f›(const char *‹v›) {\n    char *copy = malloc(strlen("‹t›/") + strlen(‹v›) + 1);\n    strcat(strcpy(copy, "‹t›/"), ‹v›);\n    return copy;\n}',
        ),
        c(
          "int ‹t›[10];\nfor (int i = 0; i <= 10; i++)\n    ‹t›[i] = ‹f›(i);",
          "int ‹t›[10];\nfor (int i = 0; i < 10; i++)\n    ‹t›[i] = ‹f›(i);",
        ),
        c(
          "void ‹f›(const unsigned char *packet) {\n    unsigned char ‹v›[32];\n    memcpy(‹v›, packet + 1, packet[0]);\n}",
          "void ‹f›(const unsigned char *packet) {\n    unsigned char ‹v›[32];\n    memcpy(‹v›, packet + 1, packet[0] < 32 ? packet[0] : 32);\n}",
        ),
        c(
          'char line[20];\nsprintf(line, "‹t› ‹c› %s", ‹v›);\nputs(line);',
          'char line[20];\nsnprintf(line, 20, "‹t› ‹c› %s", ‹v›);\nputs(line);',
        ),
      ],
    },
  },
};

function filled(code: string, values: Readonly<Record<string, string>>): string {
  return code.replaceAll(/‹([tcvf])›/g, (_, name: string) => values[name]!);
}

type Element = ReturnType<typeof DomUtils.getElementsByTagName>[number];

const MAX_EXAMPLE = 800;
const MIN_EXAMPLE = 80;

/** Lines of an example: `div`s are blocks, those with a margin are indented. */
function codeOf(example: Element): string {
  let text = "";
  const visit = (node: Element["children"][number], depth: number) => {
    if (node.type === ElementType.ElementType.Text) text += node.data.replace(/\s+/g, " ");
    if (node.type !== ElementType.ElementType.Tag) return;
    const isBlock = node.name.endsWith("div");
    const inner = depth + (isBlock && /margin/.test(node.attribs.style ?? "") ? 1 : 0);
    if (isBlock || node.name.endsWith("br")) text += `\n${"\t".repeat(inner)}`;
    for (const child of node.children) visit(child, inner);
    if (isBlock) text += `\n${"\t".repeat(depth)}`;
  };
  for (const child of example.children) visit(child, 0);
  const lines = text
    .split("\n")
    .map((line) =>
      line.replace(/^([\t ]*)(.*)$/, (_, margin: string, rest: string) => "    ".repeat(margin.replaceAll(" ", "").length) + rest.trim()),
    );
  return lines.filter((line) => !["", "..."].includes(line.trim())).join("\n");
}

/** Bad and good code of the enumeration's demonstrative examples, by the number of the weakness. */
async function examples(cwe: Unpacked): Promise<{ weakness: number; good: boolean; language: string; text: string }[]> {
  const file = "cwe2/database_v49/cwec_v4.14.xml";
  const document = parseDocument(decoded(await readFile(join(cwe.folder, file)), file), { xmlMode: true });
  const wanted = new Set(Object.values(WEAKNESSES).flatMap((weakness) => weakness.cwe));
  return DomUtils.getElementsByTagName("Weakness", document).flatMap((weakness) => {
    const number = Number(weakness.attribs.ID);
    if (!wanted.has(number)) return [];
    return DomUtils.getElementsByTagName("Example_Code", weakness).flatMap((example) => {
      const { Nature, Language } = example.attribs;
      const text = codeOf(example);
      const fits =
        text.length >= MIN_EXAMPLE && text.length <= MAX_EXAMPLE && Language !== undefined && !["Verilog", "Other"].includes(Language);
      return fits && (Nature === "Bad" || Nature === "Good")
        ? [{ weakness: number, good: Nature === "Good", language: Language.toLowerCase(), text }]
        : [];
    });
  });
}

export async function security(cwe: Unpacked, seed: number): Promise<Family> {
  const texts: LabelledText[] = [];
  const ofCwe: LabelledText[] = [];
  const seen = new Set<string>();
  const found = await examples(cwe);
  for (const [concept, { pairs, cwe: numbers }] of Object.entries(WEAKNESSES)) {
    for (const half of HALVES) {
      for (const [p, { language, unsafe, safe }] of pairs[half].entries()) {
        for (const values of FILLINGS[half]) {
          const about = { half, group: `pair ${half} ${p}`, language };
          texts.push(
            positive(concept, { ...about, text: filled(unsafe, values) }),
            negative(concept, "hard", { ...about, text: filled(safe, values) }),
          );
        }
      }
    }
    const own = found.filter(({ weakness, text }) => numbers.includes(weakness) && !seen.has(text) && seen.add(text));
    for (const [i, { weakness, good, language, text }] of own.entries()) {
      // Pairs of bad and good stand one after the other, and stay together.
      const group = `CWE-${weakness} ${own.slice(0, i + 1).filter((each) => !each.good).length}`;
      const half: Half = Number(group.split(" ")[1]) % 2 === 0 ? "test" : "choose";
      const about = { half, text, group, language, source: cwe.source };
      ofCwe.push(good ? negative(concept, "hard", about) : positive(concept, about));
    }
  }
  return {
    name: "security",
    concepts: Object.entries(WEAKNESSES).map(([name, { about }]) => ({
      name,
      about,
      licence: `${WRITTEN_LICENCE}; CWE terms of use`,
      source: `${WRITTEN}, ${cwe.source}`,
    })),
    texts: [...drawTexts(texts, { positives: 20, negatives: 20 }, seed), ...ofCwe],
  };
}
