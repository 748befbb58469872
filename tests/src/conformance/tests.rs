//! On small requirements and short runs.

use super::outcomes::ids;
use super::*;

const REQUIREMENTS: &str = r#"
[[section]]
title = "One"
rows = [["AAA-1", "MUST", "RFC 1", "one"], ["AAA-2", "SHOULD", "RFC 2", "two"], ["P0-1", "MUST", "RFC 3", "three"]]
[covered]
P0-1 = ["AAA-1"]
[without]
AAA-2 = "nobody needs it"
"#;

#[test]
fn ids_begin_a_name_and_end_where_words_begin() {
    for (test, expected) in [
        ("non_1_to_3_and_5_work", &["NON-1", "NON-2", "NON-3", "NON-5"][..]),
        ("rev_1_5_and_fin_8_a_key", &["REV-1", "REV-5", "FIN-8"]),
        ("acc_8_and_jws_9_over", &["ACC-8", "JWS-9"]),
        ("p0_4_and_5_ready", &["P0-4", "P0-5"]),
        ("x5_3_names_4_you", &["X5-3"]),
        ("acc_1_and_a_half", &["ACC-1"]),
        ("acc_1_to_the_end", &["ACC-1"]),
        ("the_1_thing", &["THE-1"]),
        ("nothing_1_here", &[]),
        ("ord", &[]),
    ] {
        assert_eq!(ids(test), expected, "{test}");
    }
}

#[test]
fn a_run_is_read_with_its_programs_colours_and_repeats() {
    let run = "     Running unittests src/lib.rs (target/debug/deps/one_two-0123)\n\
        test a::aaa_1_x ... FAILED\ntest a::aaa_1_x ... \u{1b}[32mok\u{1b}[0m\ntest b::aaa_1_y - should panic ... ok\n\
        test aaa_1_z ... ignored\n     Running tests/acme/main.rs (/x/acme-ff)\ntest aaa_1_x ... ok <1.2s>\n";
    let outcomes = Outcomes::read(run);
    let found: Vec<(&str, &str)> =
        outcomes.of("AAA-1").iter().map(|one| (one.program.as_str(), one.test.as_str())).collect();
    assert_eq!(found, [("acme", "aaa_1_x"), ("one_two", "aaa_1_x"), ("one_two", "aaa_1_y")]);
    assert!(outcomes.of("AAA-1").iter().all(|one| one.passed), "the last run counts");
}

#[test]
fn what_is_missing_unknown_or_failed_is_said() {
    let requirements = Requirements::parse(REQUIREMENTS);
    let look = |run: &str| findings(&requirements, &Outcomes::read(run));
    let good = "test aaa_1_x ... ok\n";
    assert_eq!(look(good), Findings::default());
    assert_eq!(look("").missing, ["AAA-1 (MUST) has no test", "P0-1 (MUST) has no test"]);
    for (run, fault) in [
        ("test aaa_3_x ... ok\ntest aaa_1_x ... ok\n", "aaa_3_x names AAA-3, which is no requirement"),
        ("test aaa_1_x ... FAILED\n", "AAA-1: aaa_1_x failed"),
        ("test aaa_1_x ... ok\ntest aaa_2_x ... ok\n", "AAA-2 has a test, and a reason why it has none"),
    ] {
        assert_eq!(look(run).faults.first().map(String::as_str), Some(fault));
    }
    assert_eq!(look("test sha_1_x ... ok\ntest aaa_1_x ... ok\n"), Findings::default(), "other kinds are not ours");
    let excused = Requirements::parse(&REQUIREMENTS.replace("AAA-2 = ", "AAA-1 = "));
    assert_eq!(findings(&excused, &Outcomes::read("")).faults, ["AAA-1 is a MUST: no reason is good enough"]);
}

#[test]
fn the_page_says_who_shows_what() {
    let requirements = Requirements::parse(REQUIREMENTS);
    let run = "Running x (a/acme-1)\ntest aaa_1_x ... ok\n";
    let page = page(&requirements, &Outcomes::read(run));
    for line in [
        "| AAA-1 | MUST | one (RFC 1) | `aaa_1_x` (acme) | passed |",
        "| AAA-2 | SHOULD | two (RFC 2) |  | not built: nobody needs it |",
        "| P0-1 | MUST | three (RFC 3) | those of AAA-1 | passed |",
        "| MUST | 2 | 2 | 0 |",
    ] {
        assert!(page.lines().any(|one| one == line), "{line}\n{page}");
    }
    let _consistent = Requirements::own();
}
