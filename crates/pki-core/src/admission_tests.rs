//! The queue step by step, and against rules that hold whoever comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn queue(at_once: usize, waiting: usize) -> Queue {
    Queue::new(Bounds { at_once, waiting, patience: Duration::from_secs(5) })
}

fn ends(hours: i64) -> Rank {
    Rank::Replacing(Timestamp::from_unix_seconds(hours * 3600))
}

/// Those who wait, in the order in which they are served.
fn served(queue: &mut Queue) -> Vec<Ticket> {
    std::iter::from_fn(|| queue.leave(NOW).go).collect()
}

fn wait(queue: &mut Queue, rank: Rank) -> Ticket {
    match queue.enter(rank, NOW) {
        Arrival::Wait(ticket, None) => ticket,
        other => panic!("{rank:?}: {other:?}"),
    }
}

#[test]
fn orders_that_replace_what_ends_first_go_first() {
    let mut queue = queue(1, 10);
    assert_eq!(queue.enter(Rank::Fresh, NOW), Arrival::Go);
    let [fresh, late, soon] = [Rank::Fresh, ends(48), ends(2)].map(|rank| wait(&mut queue, rank));
    assert_eq!(served(&mut queue), [soon, late, fresh]);
    assert_eq!(queue.under_way(), 0);
}

#[test]
fn what_was_accepted_goes_before_what_is_new() {
    let mut queue = queue(1, 10);
    queue.enter(Rank::Fresh, NOW);
    let [entering, replacing, poll] = [Rank::Entering, ends(1), Rank::UnderWay].map(|rank| wait(&mut queue, rank));
    assert_eq!(served(&mut queue), [poll, entering, replacing]);
}

#[test]
fn every_fourth_place_is_for_the_one_that_waited_longest() {
    let mut queue = queue(1, 100);
    queue.enter(Rank::Fresh, NOW);
    let fresh = wait(&mut queue, Rank::Fresh);
    let urgent: Vec<_> = (0..10).map(|_| wait(&mut queue, Rank::UnderWay)).collect();
    assert_eq!(served(&mut queue)[..5], [urgent[0], urgent[1], urgent[2], fresh, urgent[3]]);
}

#[test]
fn a_full_queue_gives_the_last_place_to_the_more_urgent() {
    let mut queue = queue(1, 2);
    queue.enter(Rank::Fresh, NOW);
    let (first, second) = (wait(&mut queue, Rank::Fresh), wait(&mut queue, Rank::Fresh));
    assert_eq!(queue.enter(Rank::Fresh, NOW), Arrival::Refused(Refusal::Full));
    let Arrival::Wait(urgent, displaced) = queue.enter(ends(1), NOW) else { panic!("it is more urgent") };
    assert_eq!(displaced, Some(second), "the younger of those least urgent");
    assert_eq!(queue.enter(ends(2), NOW), Arrival::Wait(Ticket(3), Some(first)));
    assert_eq!(queue.enter(ends(3), NOW), Arrival::Refused(Refusal::Full));
    assert_eq!(served(&mut queue), [urgent, Ticket(3)]);
}

#[test]
fn who_waited_too_long_is_refused_instead_of_served() {
    let mut queue = queue(1, 10);
    queue.enter(Rank::UnderWay, NOW);
    let old = wait(&mut queue, Rank::UnderWay);
    let young = match queue.enter(Rank::UnderWay, NOW + Duration::from_secs(4)) {
        Arrival::Wait(ticket, None) => ticket,
        other => panic!("{other:?}"),
    };
    let departure = queue.leave(NOW + Duration::from_secs(6));
    assert_eq!(departure, Departure { go: Some(young), refused: vec![old] });
}

#[test]
fn who_would_wait_too_long_is_refused_at_once() {
    let mut queue = queue(2, 100);
    let mut now = NOW;
    (0..2).for_each(|_| assert_eq!(queue.enter(Rank::Fresh, now), Arrival::Go));
    (0..40).for_each(|_| come(&mut queue, now));
    // one place a second
    for _ in 0..4 {
        now += Duration::from_secs(1);
        queue.leave(now);
    }
    assert!(queue.expected_wait() > Duration::from_secs(5));
    assert_eq!(queue.enter(Rank::Fresh, now), Arrival::Refused(Refusal::TooSlow), "behind too many");
    assert!(matches!(queue.enter(Rank::UnderWay, now), Arrival::Wait(..)), "before all of them");
}

#[test]
fn a_stall_is_forgotten_once_it_is_over() {
    let mut queue = queue(1, 10);
    queue.enter(Rank::Fresh, NOW);
    let mut now = NOW;
    for _ in 0..3 {
        come(&mut queue, now);
        now += Duration::from_secs(100);
        queue.leave(now);
    }
    assert_eq!(queue.enter(Rank::Fresh, now), Arrival::Go, "a free place needs no estimate");
    for _ in 0..100 {
        now += Duration::from_millis(1);
        come(&mut queue, now);
        queue.leave(now);
        come(&mut queue, now);
    }
    assert_eq!(queue.waiting(), 10, "they are let in again");
    assert!(queue.expected_wait() < Duration::from_millis(100), "{:?}", queue.expected_wait());
}

fn come(queue: &mut Queue, now: Duration) {
    let _ = queue.enter(Rank::Fresh, now);
}

#[test]
fn one_who_hangs_up_is_nobody_s_obstacle() {
    let mut queue = queue(1, 10);
    queue.enter(Rank::Fresh, NOW);
    let (gone, there) = (wait(&mut queue, Rank::UnderWay), wait(&mut queue, Rank::Fresh));
    assert!(queue.abandon(gone));
    assert!(!queue.abandon(gone));
    assert_eq!(served(&mut queue), [there]);
}

#[derive(Debug, Clone)]
enum Step {
    Enter(Rank),
    Leave,
    Abandon(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let rank = prop_oneof![Just(Rank::UnderWay), Just(Rank::Entering), (0_i64..50).prop_map(ends), Just(Rank::Fresh),];
    prop_oneof![
        4 => rank.prop_map(Step::Enter),
        3 => Just(Step::Leave),
        1 => (0_usize..8).prop_map(Step::Abandon),
        1 => (0_u64..3000).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Bounds hold; everybody is served, refused or still waiting, and only once; nobody waits beside a free place; of two
    /// who wait the more urgent one goes first, but for every fourth place.
    #[test]
    fn nobody_is_lost_and_bounds_hold(
        at_once in 1_usize..4,
        most in 0_usize..6,
        steps in proptest::collection::vec(step(), 1..300),
    ) {
        let mut queue = queue(at_once, most);
        let (mut now, mut under_way) = (NOW, 0_usize);
        let mut waiting: BTreeMap<Ticket, Rank> = BTreeMap::new();
        let mut ever: BTreeSet<Ticket> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Enter(rank) => match queue.enter(rank, now) {
                    Arrival::Go => under_way += 1,
                    Arrival::Wait(ticket, displaced) => {
                        if let Some(loser) = displaced {
                            prop_assert!(waiting.remove(&loser).is_some_and(|lost| lost > rank));
                        }
                        prop_assert!(ever.insert(ticket));
                        waiting.insert(ticket, rank);
                    }
                    Arrival::Refused(refusal) => {
                        prop_assert!(matches!(refusal, Refusal::Full | Refusal::TooSlow));
                        prop_assert_eq!(under_way, at_once, "never refused beside a free place");
                    }
                },
                Step::Leave if under_way == 0 => {}
                Step::Leave => {
                    under_way -= 1;
                    let Departure { go, refused } = queue.leave(now);
                    for ticket in refused {
                        prop_assert!(waiting.remove(&ticket).is_some());
                    }
                    if let Some(ticket) = go {
                        prop_assert!(waiting.remove(&ticket).is_some());
                        under_way += 1;
                    }
                }
                Step::Abandon(at) => {
                    if let Some(ticket) = waiting.keys().nth(at).copied() {
                        prop_assert!(queue.abandon(ticket));
                        waiting.remove(&ticket);
                    }
                }
            }
            prop_assert_eq!((queue.under_way(), queue.waiting()), (under_way, waiting.len()));
            prop_assert!(under_way <= at_once && waiting.len() <= most);
            prop_assert!(waiting.is_empty() || under_way == at_once, "nobody waits beside a free place");
        }
    }

    /// However many urgent ones come, the first fresh one is served before four times the waiters ahead of it are.
    #[test]
    fn nothing_starves(ahead in 1_usize..20, flood in 1_usize..5) {
        let mut queue = queue(1, 1000);
        queue.enter(Rank::Fresh, NOW);
        (0..ahead).for_each(|_| { wait(&mut queue, Rank::UnderWay); });
        let fresh = wait(&mut queue, Rank::Fresh);
        let mut served = 0;
        loop {
            (0..flood).for_each(|_| { wait(&mut queue, Rank::UnderWay); });
            served += 1;
            if queue.leave(NOW).go == Some(fresh) {
                break;
            }
            prop_assert!(served <= 4 * (ahead + 1));
        }
    }
}
