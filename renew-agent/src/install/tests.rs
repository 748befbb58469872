use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::recover::{Recovered, finish_order, publish, recover, roll_back};
use super::*;
use crate::state::{self, CertificateState, Home};
use crate::testing::{DAY, NOW, TestCa};

struct Node {
    _dir: tempfile::TempDir,
    home: Home,
    live: Live,
    ca: TestCa,
    state: CertificateState,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        home.prepare().unwrap();
        let secret = Access { mode: 0o640, ..Access::SECRET };
        let live = Live::new("web", home.live("web"), secret, 0o750);
        Self { _dir: dir, home, live, ca: TestCa::new(), state: CertificateState::default() }
    }

    fn write(&self) -> Generation {
        self.live.write(&self.ca.verified(NOW, 30), NOW).unwrap()
    }

    fn install(&mut self) -> Generation {
        let generation = self.write();
        publish(&self.home, &self.live, &mut self.state, &generation, None, NOW).unwrap();
        generation
    }

    /// What a start after a power cut does: nothing but the disk is remembered.
    fn restart(&mut self) -> Recovered {
        self.state = state::load(&self.home.certificate_state("web")).unwrap().unwrap_or_default();
        recover(&self.home, &self.live, &mut self.state, NOW + DAY).unwrap()
    }

    fn damage(&self, number: u64, file: &str) {
        fs::write(self.live.generation_dir(number).join(file), "").unwrap();
    }
}

#[test]
fn a_generation_has_all_files_with_their_modes() {
    let mut node = Node::new();
    node.install();
    let dir = node.live.current_link();
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    for name in ["cert.pem", "chain.pem", "fullchain.pem", "roots.pem", "meta.json"] {
        assert_eq!(mode(name), 0o644, "{name}");
    }
    assert_eq!((mode("key.pem"), mode("bundle.pem"), mode(".")), (0o640, 0o640, 0o750));
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(text("fullchain.pem"), text("cert.pem") + &text("chain.pem"));
    assert_eq!(text("bundle.pem"), text("key.pem") + &text("fullchain.pem"));
}

#[test]
fn the_debt_is_on_disk_before_the_link_moves() {
    let mut node = Node::new();
    let first = node.install();
    fs::write(node.home.pending_key("web"), "x").unwrap();
    let second = node.install();
    let stored: CertificateState = state::load(&node.home.certificate_state("web")).unwrap().unwrap();
    assert_eq!(stored.debt.unwrap().leaf_sha256, second.leaf_sha256());
    assert_eq!(node.live.current().unwrap().leaf, second.leaf);
    assert_ne!(first.leaf, second.leaf);
    assert!(!node.home.pending_key("web").exists());
}

#[test]
fn a_power_cut_between_journal_and_swap_ends_in_the_new_generation() {
    let mut node = Node::new();
    node.install();
    let second = node.install();
    // The journal names the second one, the link still the first: the moment before the rename.
    node.live.swap_to(1).unwrap();
    assert!(matches!(node.restart(), Recovered::Completed(ref done) if done.leaf == second.leaf));
    assert!(matches!(node.restart(), Recovered::Sound(_)), "repeating changes nothing");
    assert_eq!(node.live.current_number(), Some(2));
}

#[test]
fn a_power_cut_before_the_journal_ends_the_order_without_another_certificate() {
    let mut node = Node::new();
    let verified = node.ca.verified(NOW, 30);
    fs::write(node.home.pending_key("web"), verified.key().to_pem().as_bytes()).unwrap();
    node.state.order = Some(crate::state::OrderInFlight { url: "https://ca.test/order/1".to_owned(), since: NOW });
    state::save(&node.home.certificate_state("web"), &node.state).unwrap();
    node.live.write(&verified, NOW).unwrap();
    let Recovered::FellBack { to, .. } = node.restart() else { panic!("the whole generation was not taken") };
    finish_order(&node.home, &node.live, &mut node.state, &to).unwrap();
    let stored: CertificateState = state::load(&node.home.certificate_state("web")).unwrap().unwrap();
    assert_eq!((stored.order, stored.debt.map(|debt| debt.generation)), (None, Some(1)));
    assert!(!node.home.pending_key("web").exists());
}

#[test]
fn a_power_cut_while_writing_leaves_nothing_behind() {
    let mut node = Node::new();
    let first = node.install();
    let second = node.write();
    fs::remove_file(node.live.generation_dir(second.number).join("meta.json")).unwrap();
    assert!(matches!(node.restart(), Recovered::Sound(ref sound) if sound.leaf == first.leaf));
    assert!(!node.live.generation_dir(second.number).exists());
}

#[test]
fn every_damaged_file_of_the_current_generation_is_noticed() {
    for file in ["cert.pem", "chain.pem", "fullchain.pem", "key.pem", "bundle.pem", "roots.pem", "meta.json"] {
        let mut node = Node::new();
        let first = node.install();
        node.install();
        node.damage(2, file);
        let Recovered::FellBack { to, because } = node.restart() else { panic!("{file} was not noticed") };
        assert_eq!((to.leaf, node.live.current_number()), (first.leaf, Some(1)), "{because}");
        assert_eq!(node.state.debt.as_ref().map(|debt| debt.generation), Some(1), "the service must be told");
    }
}

#[test]
fn a_key_of_another_generation_is_noticed_even_when_its_checksum_fits() {
    let mut node = Node::new();
    node.install();
    node.install();
    let key = fs::read(node.live.generation_dir(1).join("key.pem")).unwrap();
    let meta = node.live.generation_dir(2).join("meta.json");
    let sum = |bytes: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    let old = sum(&fs::read(node.live.generation_dir(2).join("key.pem")).unwrap());
    fs::write(&meta, fs::read_to_string(&meta).unwrap().replace(&old, &sum(&key))).unwrap();
    fs::write(node.live.generation_dir(2).join("key.pem"), key).unwrap();
    let Recovered::FellBack { because, .. } = node.restart() else { panic!("it was not noticed") };
    assert!(because.contains("cert.pem is not for key.pem"), "{because}");
}

#[test]
fn without_any_good_generation_the_loss_is_told() {
    let mut node = Node::new();
    assert!(matches!(node.restart(), Recovered::Nothing));
    node.install();
    node.damage(1, "key.pem");
    assert!(matches!(node.restart(), Recovered::Lost { .. }));
}

#[test]
fn rolling_back_holds_the_refused_generation_and_survives_a_power_cut() {
    let mut node = Node::new();
    let first = node.install();
    node.install();
    assert_eq!(node.state.debt.as_ref().and_then(|debt| debt.came_from), Some(1));
    let before = node.live.read(1).unwrap();
    roll_back(&node.home, &node.live, &mut node.state, &before, NOW).unwrap();
    node.live.swap_to(2).unwrap();
    assert!(matches!(node.restart(), Recovered::Completed(ref done) if done.leaf == first.leaf));
    assert_eq!(node.state.held.as_ref().map(|held| (held.generation, held.attempts)), Some((2, 1)));
    node.damage(1, "key.pem");
    assert!(matches!(node.restart(), Recovered::FellBack { ref to, .. } if to.number == 2), "better than none");
}

#[test]
fn old_generations_go_but_the_current_and_the_held_stay() {
    let mut node = Node::new();
    for _ in 0..5 {
        node.install();
        // Seen in service: the way back may go.
        node.state.debt = None;
    }
    assert_eq!(node.live.numbers().unwrap(), [3, 4, 5]);
    node.live.swap_to(3).unwrap();
    for _ in 0..3 {
        node.write();
    }
    node.live.prune(&[Some(4), None]).unwrap();
    assert_eq!(node.live.numbers().unwrap(), [3, 4, 6, 7, 8]);
}

#[test]
fn the_last_generation_seen_in_service_stays_however_many_follow() {
    let mut node = Node::new();
    node.install();
    node.state.debt = None;
    for _ in 0..5 {
        node.install();
    }
    assert_eq!(node.live.numbers().unwrap(), [1, 4, 5, 6]);
    assert_eq!(node.state.debt.unwrap().came_from, Some(1));
}

#[test]
fn foreign_folders_are_nobodys_generation() {
    assert_eq!(number_of("g-12"), Some(12));
    for other in ["g-", "g-01", "g--1", "g-1x", "current", "g-99999999999999999999"] {
        assert_eq!(number_of(other), None, "{other}");
    }
}
