//! A new migration file is seen by the macro that reads the folder only when the crate is built again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
