# Recipes for `just`; `just` alone lists them. Everything works without it, too.

_default:
    @just --list

# A CA, a service and an agent to watch
demo:
    cargo run --release -- quickstart --demo

# What every change has to pass
ci:
    .ci/run

# Formatting and lints only
lint:
    cargo fmt --all -- --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Tests of one crate, with an optional word: just unit pki-core decide
unit crate *words:
    cargo test -p {{ crate }} {{ words }}

# Every test; installs Debian packages, as root
test *options:
    ./test {{ options }}

# Licences, advisories, fences between crates
deny:
    cargo deny check

# One fuzz target, or all of them, each for so many seconds
fuzz target seconds="60":
    fuzz/run {{ target }} {{ seconds }}

# The agent for small machines
small:
    cargo build --profile small --locked -p renew-agent
