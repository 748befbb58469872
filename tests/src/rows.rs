//! What a CA on SQLite has stored, read from its file by a program that is not ours: how many rows, and a digest of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads one name of a table after the other, and answers with the number of rows and a digest of all of them.
const PROGRAM: &str = r#"
import hashlib, sqlite3, sys
database = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
for line in sys.stdin:
    rows = database.execute("SELECT * FROM " + line.strip()).fetchall()
    print(len(rows), hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest(), flush=True)
"#;

/// A reader of one database.
pub struct Rows {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Rows {
    /// Of the database in a CA's folder.
    pub fn of(dir: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).arg(dir.join("pilotlight.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("python3: {error}"));
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, ask, answers: BufReader::new(answers) }
    }

    /// For each table the number of its rows and their digest.
    pub fn look(&mut self, tables: &[&'static str]) -> BTreeMap<&'static str, String> {
        tables.iter().map(|table| (*table, self.table(table))).collect()
    }

    fn table(&mut self, table: &str) -> String {
        writeln!(self.ask, "{table}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "python3 cannot read {table}");
        answer.trim().to_owned()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
