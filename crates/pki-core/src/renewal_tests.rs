//! Renewal over lives of seconds to decades.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

const START: i64 = 1_700_000_000;

fn decide_at(life: i64, permille: u16, seed: [u8; 32], age: i64) -> Decision {
    decide(at(START), at(START + life), permille, seed, at(START + age))
}

#[test]
fn a_certificate_of_a_minute_is_renewed_at_its_half() {
    assert_eq!(decide_at(60, 500, [0; 32], 0), Decision::Wait { until: at(START + 30) });
    assert_eq!(decide_at(60, 500, [0; 32], 29), Decision::Wait { until: at(START + 30) });
    assert_eq!(decide_at(60, 500, [0; 32], 30), Decision::Renew { since: at(START + 30) });
    assert_eq!(decide_at(60, 500, [0; 32], 53), Decision::Renew { since: at(START + 30) });
    assert_eq!(decide_at(60, 500, [0; 32], 54), Decision::Emergency);
    assert_eq!(decide_at(60, 500, [0; 32], 600), Decision::Emergency);
    let Decision::Wait { until } = decide_at(60, 500, [0xff; 32], 0) else { panic!("it is new") };
    assert!(until > at(START + 38) && until <= at(START + 39), "the end of the band: {until}");
}

#[test]
fn times_that_make_no_sense_lead_to_renewal() {
    assert_eq!(decide_at(0, 500, [0; 32], 0), Decision::Emergency);
    assert_eq!(decide(at(START), at(START - 9), 500, [0; 32], at(START)), Decision::Emergency);
    assert_eq!(decide_at(60, 1000, [0xff; 32], 53), Decision::Wait { until: at(START + 54) });
    assert_eq!(decide_at(60, u16::MAX, [0xff; 32], 54), Decision::Emergency);
}

#[test]
fn seeds_differ_by_holder_and_generation() {
    assert_eq!(seed("gw-1", 1), seed("gw-1", 1));
    assert_ne!(seed("gw-1", 1), seed("gw-1", 2));
    assert_ne!(seed("gw-1", 1), seed("gw-2", 1));
}

#[test]
fn a_fleet_spreads_over_the_band() {
    let life = 90 * i64::try_from(DAY).unwrap();
    let mut tenths = [0_u32; 10];
    for device in 0..5_000 {
        let Decision::Wait { until } = decide_at(life, 500, seed(&format!("gw-{device}"), 3), 0) else { panic!("new") };
        let place = until.since(at(START + life / 2)).as_secs() * 10 / u64::try_from(life * 15 / 100).unwrap();
        tenths[usize::try_from(place).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (400..=600).contains(count)), "{tenths:?}");
}

#[test]
fn waiting_fits_the_life_of_the_certificate() {
    let wait = |attempt, life: u64, remaining: u64| {
        backoff(attempt, Duration::from_secs(life), Duration::from_secs(remaining), [0; 32]).as_secs_f64()
    };
    for attempt in 0..40 {
        assert!((1.0..=1.5).contains(&wait(attempt, 60, 30)), "a certificate of a minute retries every second or two");
        assert!((1.0..=1.0).contains(&wait(attempt, 60, 0)), "also when it has ended");
        assert!(
            (190.0..=390.0).contains(&wait(attempt + 4, 90 * DAY, 0)),
            "a fleet of ended ones does not storm the CA"
        );
    }
    assert!((15.0..=30.0).contains(&wait(0, 90 * DAY, 45 * DAY)));
    assert!((30.0..=60.0).contains(&wait(1, 90 * DAY, 45 * DAY)));
    assert!((10_800.0..=21_600.0).contains(&wait(30, 90 * DAY, 45 * DAY)));
}

#[test]
fn autonomy_ends_with_the_first_end() {
    assert_eq!(days_of_autonomy([at(START + 200_000), at(START + 100_000)], at(START)), 1);
    assert_eq!(days_of_autonomy([at(START - 1), at(START + 100_000)], at(START)), 0);
    assert_eq!(autonomy([], at(START)), None);
    assert_eq!(days_of_autonomy([], at(START)), 0);
}

proptest! {
    /// The band begins where it should, ends 15 % later, and is before the emergency.
    #[test]
    fn it_comes_due_inside_the_band(life in 1_i64..700_000_000, permille in 100_u16..=750, seed: [u8; 32]) {
        let due = due_at(at(START), Duration::from_secs(life.unsigned_abs()), permille, seed);
        let age = due.since(at(START)).as_millis();
        let life = u128::from(life.unsigned_abs());
        prop_assert!(age >= life * u128::from(permille));
        prop_assert!(age <= life * u128::from(permille + 150));
        prop_assert!(age <= life * 900);
    }

    /// As time goes on, the answer only gets more urgent, and an ended certificate is never waited for.
    #[test]
    fn urgency_only_rises(life in 0_i64..700_000_000, permille: u16, seed: [u8; 32], a in -1_000_000_i64..900_000_000, b in -1_000_000_i64..900_000_000) {
        let rank = |age| match decide_at(life, permille, seed, age) {
            Decision::Wait { .. } => 0,
            Decision::Renew { .. } => 1,
            Decision::Emergency => 2,
        };
        prop_assert!(rank(a.min(b)) <= rank(a.max(b)));
        prop_assert_eq!(rank(life), 2);
        if let Decision::Wait { until } = decide_at(life, permille, seed, a) {
            prop_assert!(until > at(START + a));
            prop_assert!(until < at(START + life));
        }
    }

    /// Never in a rush, never too late: at least ten attempts fit into what is left, unless that is seconds.
    #[test]
    fn waiting_is_bounded(attempt: u32, life in 0_u64..700_000_000, remaining in 0_u64..700_000_000, seed: [u8; 32]) {
        let wait = backoff(attempt, Duration::from_secs(life), Duration::from_secs(remaining), seed);
        prop_assert!(wait >= SHORTEST_RETRY);
        prop_assert!(wait <= LONGEST_RETRY);
        let most = Duration::from_secs(remaining / 20 + 1).max(Duration::from_secs(life / 20_000 + 1));
        prop_assert!(wait <= most);
        prop_assert_eq!(wait, backoff(attempt, Duration::from_secs(life), Duration::from_secs(remaining), seed));
    }

    /// Any clock at all.
    #[test]
    fn no_times_make_it_panic(a: i64, b: i64, c: i64, permille: u16, seed: [u8; 32], attempt: u32, life: u64) {
        let time = Timestamp::from_unix_millis;
        let _ = decide(time(a), time(b), permille, seed, time(c));
        let _ = backoff(attempt, Duration::from_secs(life), Duration::MAX, seed);
        let _ = days_of_autonomy([time(a), time(b)], time(c));
    }
}
