//! Buckets against a count of what they let through, and the ways to get around a limit.

use proptest::prelude::*;

use super::*;
use crate::random::SystemEntropy;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn take(buckets: &mut Buckets<u32>, key: u32, now: Duration) -> Result<(), Duration> {
    match buckets.wait(&key, now) {
        Some(wait) => Err(wait),
        None => {
            buckets.spend(key, now);
            Ok(())
        }
    }
}

#[test]
fn a_rate_is_read_as_it_is_written() {
    for text in ["1/second", "300/minute", "1000/hour burst 5000", "7/day", "100/second burst 1"] {
        assert_eq!(rate(text).to_string(), text);
    }
    assert_eq!(rate("60/minute").interval(), s(1));
    assert_eq!(rate("10/day").interval(), s(8640));
    assert_eq!(rate(" 5/hour  burst 9 ").to_string(), "5/hour burst 9");
    for bad in [
        "",
        "none",
        "5",
        "0/hour",
        "-1/hour",
        "5/hours",
        "5/hour 9",
        "5/hour burst",
        "5/hour burst 0",
        "5/hour burst 1 2",
        "1e3/hour",
        "999999999/day",
    ] {
        assert!(bad.parse::<Rate>().is_err(), "{bad}");
    }
}

#[test]
fn a_bucket_is_used_up_and_refills_one_by_one() {
    let mut buckets = Buckets::new(rate("60/minute burst 3"), 10);
    for _ in 0..3 {
        assert_eq!(take(&mut buckets, 1, s(100)), Ok(()));
    }
    assert_eq!(take(&mut buckets, 1, s(100)), Err(s(1)));
    assert_eq!(take(&mut buckets, 2, s(100)), Ok(()), "another's bucket is its own");
    assert_eq!(take(&mut buckets, 1, s(101)), Ok(()));
    assert_eq!(take(&mut buckets, 1, s(101)), Err(s(1)));
    (0..3).for_each(|_| assert_eq!(take(&mut buckets, 1, s(200)), Ok(()), "no more than the burst is saved up"));
    assert_eq!(take(&mut buckets, 1, s(200)), Err(s(1)));
}

#[test]
fn what_cannot_be_refused_makes_a_debt_of_one() {
    let mut buckets = Buckets::new(rate("1/hour"), 10);
    (0..1000).for_each(|_| buckets.spend(1, s(0)));
    assert_eq!(buckets.wait(&1, s(0)), Some(s(3600)));
    assert_eq!(buckets.wait(&1, s(3600)), None);
}

#[test]
fn a_full_table_is_no_way_out_of_a_debt() {
    let mut buckets = Buckets::new(rate("1/hour"), 100);
    take(&mut buckets, 0, s(0)).unwrap();
    for key in 1..50_000 {
        let _ = take(&mut buckets, key, s(1));
    }
    assert_eq!(buckets.remembered(), 100, "memory is bounded");
    assert_eq!(take(&mut buckets, 0, s(2)), Err(s(3598)), "who owes goes on owing");
    let let_through = (50_000..100_000).filter(|key| take(&mut buckets, *key, s(2)).is_ok()).count();
    assert!(let_through < 10, "fresh keys share what is left: {let_through}");
    assert_eq!(take(&mut buckets, 100_001, s(7300)), Ok(()), "and all is forgotten in time");
    assert_eq!(buckets.remembered(), 1);
}

#[test]
fn a_debt_in_a_shared_bucket_is_kept_when_there_is_room_again() {
    let mut buckets = Buckets::new(rate("1/hour"), 1);
    take(&mut buckets, 1, s(0)).unwrap();
    take(&mut buckets, 2, s(3599)).unwrap();
    assert_eq!(take(&mut buckets, 2, s(3601)), Err(s(3598)), "the first is full again, and would be forgotten");
    buckets.spend(3, s(3601));
    assert_eq!(take(&mut buckets, 2, s(3602)), Err(s(3597)));
}

#[test]
fn a_refusal_costs_nobody_anything_and_names_the_longest_wait() {
    let account = Subject::Account(AccountId::random(&SystemEntropy::new()));
    let name = |scope| LimitName { action: Action::NewOrder, scope };
    let rates = [(name(Scope::Account), rate("1/hour")), (name(Scope::Total), rate("2/minute"))];
    let mut limits = RateLimits::new(rates, 10);
    let both = [account, Subject::Everybody];
    assert_eq!(limits.admit(Action::NewOrder, &both, s(0)), Ok(()));
    let refused = limits.admit(Action::NewOrder, &both, s(0)).unwrap_err();
    assert_eq!((refused.name.as_str(), refused.wait), ("new_orders_per_account", s(3600)));
    assert_eq!(limits.admit(Action::NewOrder, &[Subject::Everybody], s(0)), Ok(()), "the refusal was free");
    let refused = limits.admit(Action::NewOrder, &[Subject::Everybody], s(0)).unwrap_err();
    assert_eq!((refused.name.as_str(), refused.wait), ("new_orders_total", s(30)));
    assert_eq!(limits.admit(Action::NewOrder, &both, s(0)).unwrap_err().name.scope, Scope::Account);
    assert_eq!(limits.admit(Action::Request, &both, s(0)), Ok(()), "without a limit");
    assert_eq!(limits.in_force().count(), 2);
}

proptest! {
    /// Over any stretch of time no more is let through than the burst and what refills meanwhile, and never less while
    /// something is left.
    #[test]
    fn a_bucket_lets_through_what_its_rate_says(
        count in 1_u32..1000,
        burst in 1_u32..50,
        steps in proptest::collection::vec(0_u64..2_000, 1..200),
    ) {
        let rate = rate(&format!("{count}/minute burst {burst}"));
        let mut buckets = Buckets::new(rate, 4);
        let (mut now, mut passed) = (Duration::ZERO, Vec::new());
        for step in steps {
            now += Duration::from_millis(step);
            let wait = buckets.wait(&1, now);
            match take(&mut buckets, 1, now) {
                Ok(()) => passed.push(now),
                Err(wait) => {
                    prop_assert!(wait <= rate.interval());
                    prop_assert!(buckets.wait(&1, now + wait).is_none(), "the wait that was told is enough");
                }
            }
            prop_assert!(wait.is_none() || passed.last() != Some(&now) || passed.len() > 1);
        }
        for (first, from) in passed.iter().enumerate() {
            for (last, until) in passed.iter().enumerate().skip(first) {
                let refilled = (*until - *from).as_nanos() / rate.interval().as_nanos().max(1);
                let most = u128::from(burst) + refilled + 1;
                prop_assert!((last - first + 1) as u128 <= most, "{} in {:?}", last - first + 1, *until - *from);
            }
        }
    }

    /// Whoever else is there, in whatever number, a key in debt stays there.
    #[test]
    fn others_never_reset_a_debt(others in proptest::collection::vec((1_u32..u32::MAX, 0_u64..100), 0..2000)) {
        let mut buckets = Buckets::new(rate("1/day"), 16);
        take(&mut buckets, 0, s(0)).unwrap();
        let mut now = s(0);
        for (key, step) in others {
            now += Duration::from_millis(step);
            let _ = take(&mut buckets, key, now);
            prop_assert!(buckets.wait(&0, now).is_some());
            prop_assert!(buckets.remembered() <= 16);
        }
    }
}
