//! The database below a CA, read and changed behind its back by programs that are not ours: psql, and Python's sqlite3.

use std::process::Command;

use crate::ca::Ca;
use crate::process::run;

impl Ca {
    /// What an SQL statement brings: a row a line, with `|` between the columns. On SQLite only a server that is stopped may
    /// be changed.
    pub async fn query(&self, sql: &str) -> String {
        const PROGRAM: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
for row in database.execute(sys.argv[2]):
    print("|".join(map(str, row)))
database.commit()
"#;
        let url = self.database();
        if url.starts_with("sqlite:") { self.python(PROGRAM, sql).await } else { query(&url, sql).await }
    }

    /// Runs a Python program with the file of its SQLite database and another argument; what it prints.
    pub async fn python(&self, program: &str, argument: &str) -> String {
        let mut command = Command::new("python3");
        command.args(["-c", program]).arg(self.dir().join("pilotlight.db")).arg(argument);
        run(&mut command).await.success()
    }

    /// Multiplies its newest certificate, on SQLite and while it is stopped: `(site, profile, how many, seconds from now to
    /// the end)` each, with names of their own below `line3.test`.
    pub async fn multiply(&self, groups: &[(&str, &str, u32, i64)]) {
        const PROGRAM: &str = r#"
import json, os, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.row_factory = sqlite3.Row
newest = database.execute("SELECT * FROM certificate WHERE device_id IS NOT NULL ORDER BY id DESC LIMIT 1").fetchone()
database.execute("BEGIN")
number = 0
for site, profile, count, seconds in json.loads(sys.argv[2]):
    for _ in range(count):
        row = dict(newest)
        row["id"] = newest["id"][:12] + os.urandom(10).hex()
        row["serial"] = "40" + os.urandom(15).hex()
        row["site_id"], row["profile"] = site, profile
        row["not_after"] = int((time.time() + seconds) * 1000)
        row["identifiers"] = json.dumps([["dns", f"m{number}.line3.test"]])
        columns = ", ".join(row)
        database.execute(f"INSERT INTO certificate ({columns}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        for token in (f"=m{number}.line3.test", f"<test.line3.m{number}."):
            database.execute("INSERT INTO certificate_name VALUES (?, ?)", (token, row["id"]))
        number += 1
database.execute("COMMIT")
"#;
        self.python(PROGRAM, &serde_json::to_string(groups).unwrap()).await;
    }
}

/// What psql says to a query on a PostgreSQL database.
pub async fn query(url: &str, sql: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql]).arg(url);
    run(&mut command).await.success()
}
