use super::lives::{Lives, Member};
use super::*;
use foil_shield::{Birth, BirthStage};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const T: u64 = 1_700_000_000 * S;
const EXACT: ClockGrain = ClockGrain::EXACT;

#[test]
fn descendants_belong_to_the_tree_and_others_do_not() {
    let mut lives = Lives::default();
    lives.init(100, T);
    assert!(lives.fork(100, 101, T + S) && lives.fork(101, 102, T + 2 * S) && lives.fork(1, 200, T + S));
    lives.exec(101, T + S + MS);
    lives.exit(101, T + 3 * S);
    let verdict = |pid, ppid, at| lives.contains(pid, ppid, at, EXACT, true);
    assert_eq!(verdict(102, Some(101), T + 2 * S), Member::Yes);
    // Its parent has ended and it fell to somebody else: it stays ours.
    assert_eq!(verdict(102, Some(1), T + 9 * S), Member::Yes);
    assert_eq!(verdict(200, Some(1), T + 2 * S), Member::No);
    assert_eq!(verdict(999, Some(998), T), Member::Unknown);
}

#[test]
fn a_reused_id_is_another_process() {
    let mut lives = Lives::default();
    lives.init(100, T);
    lives.fork(100, 101, T + S);
    lives.exec(101, T + S + MS);
    lives.exit(101, T + 2 * S);
    lives.fork(1, 101, T + 3 * S);
    assert_eq!(lives.contains(101, Some(100), T + S + 5 * MS, EXACT, true), Member::Yes);
    assert_eq!(lives.contains(101, Some(1), T + 3 * S + 5 * MS, EXACT, true), Member::No);
    // The audit clock is early: this is of the second life, though it began a moment later.
    assert_eq!(lives.contains(101, Some(1), T + 3 * S - 8 * MS, EXACT, true), Member::No);
    // And of the first, a moment before it: as exactly as that clock says it.
    let coarse = lives.contains(101, Some(100), T + S - 8 * MS, ClockGrain::COARSE, true);
    assert_eq!(coarse, Member::Unclear { effect: false });
}

#[test]
fn the_launchers_claim_and_the_connectors_fork_are_one_life() {
    for claim_first in [true, false] {
        let mut lives = Lives::default();
        if claim_first {
            lives.root(50, T + 3 * MS);
        }
        lives.fork(1, 50, T);
        if !claim_first {
            lives.root(50, T + 3 * MS);
        }
        lives.fork(50, 51, T + 5 * MS);
        assert_eq!(lives.contains(50, Some(1), T, EXACT, true), Member::Foil);
        assert_eq!(lives.contains(50, Some(1), T + 3 * MS, EXACT, true), Member::Yes);
        assert_eq!(lives.contains(51, Some(50), T + 6 * MS, EXACT, true), Member::Yes);
        // Ten minutes later the id is somebody else's.
        lives.fork(1, 50, T + 600 * S);
        assert_eq!(lives.contains(50, Some(1), T + 601 * S, EXACT, true), Member::No);
    }
}

#[test]
fn a_fork_before_the_claim_counts_once_it_is_claimed() {
    let mut lives = Lives::default();
    lives.fork(10, 11, T);
    lives.fork(11, 12, T + MS);
    assert_eq!(lives.contains(12, Some(11), T + 2 * MS, EXACT, true), Member::Unknown);
    lives.root(11, T);
    assert_eq!(lives.contains(12, Some(11), T + 2 * MS, EXACT, true), Member::Yes);
}

#[test]
fn links_alone_tell_what_they_can() {
    let mut lives = Lives::default();
    lives.init(100, T);
    lives.link(101, 100, T + S);
    lives.link(102, 101, T + 2 * S);
    lives.link(300, 1, T + S);
    let verdict = |pid, ppid, at| lives.contains(pid, ppid, at, EXACT, false);
    assert_eq!(verdict(102, Some(101), T + 2 * S), Member::Yes);
    assert_eq!(verdict(103, Some(102), T + 3 * S), Member::Yes);
    assert_eq!(verdict(300, Some(1), T + 2 * S), Member::No);
    assert_eq!(verdict(301, Some(300), T + 2 * S), Member::No);
    assert_eq!(verdict(400, Some(399), T + 2 * S), Member::Unknown, "its parent is not known");
}

#[test]
fn a_direct_childs_id_that_was_reused_is_told_by_its_parent() {
    let mut lives = Lives::default();
    lives.init(100, T);
    lives.root(101, T);
    assert_eq!(lives.contains(101, Some(100), T + S, EXACT, false), Member::Yes);
    assert_eq!(lives.contains(101, Some(1), T + 90 * S, EXACT, false), Member::No);
}

#[test]
fn circles_of_parents_end() {
    let mut lives = Lives::default();
    lives.link(5, 6, T);
    lives.link(6, 5, T);
    lives.link(7, 7, T);
    assert_eq!(lives.member(5, T, EXACT), Member::Unknown);
    assert_eq!(lives.member(7, T, EXACT), Member::Unknown);
}

#[test]
fn a_machine_that_forks_for_ever_is_remembered_within_bounds() {
    let mut lives = Lives::default();
    lives.init(100, T);
    lives.fork(100, 101, T + MS);
    lives.exec(101, T + 2 * MS);
    // A hundred forks a second, for an hour: strangers are forgotten, ours are not.
    for n in 0..360_000u32 {
        let at = T + u64::from(n) * 10 * MS;
        assert!(lives.fork(1, 1000 + n % 30_000, at));
    }
    assert_eq!(lives.contains(101, Some(100), T + 3600 * S, EXACT, true), Member::Yes);
    // More at once than there is room for.
    let full = (0..300_000u32).all(|n| lives.fork(1, 1000 + n, T + 4000 * S));
    assert!(!full);
}

#[test]
fn foils_own_processes_are_told_apart() {
    let tree = ProcessTree::without_connector();
    let own = std::process::id();
    assert!(tree.is_foil(own, None));
    assert!(tree.is_foil(99_999, Some(own)), "the launcher");
    tree.insert_root(99_999, T);
    assert!(!tree.is_foil(99_999, Some(own)), "a child of the launcher's that was claimed");
    assert!(!tree.is_foil(99_998, Some(1)));
}

#[test]
fn a_snapshot_of_the_launchers_is_taken_in() {
    let tree = ProcessTree::without_connector();
    let init = 4_000_009;
    let now = super::super::clock::realtime();
    tree.feed(&Tree { init, children: vec![(4_000_000, now)] });
    assert_eq!(tree.contains(init, Some(1), now), Attribution::Stranger, "the init is Foil's");
    assert_eq!(tree.contains(4_000_000, None, now), Attribution::Tree);
    assert_eq!(tree.contains(4_000_001, Some(init), now), Attribution::Tree);
    assert_eq!(tree.contains(4_000_001, Some(1), now), Attribution::Stranger);
    assert_eq!(tree.contains(4_000_002, Some(4_000_003), now), Attribution::Window);
    tree.feed(&Tree::default());
    assert_eq!(tree.contains(1, None, now), Attribution::Stranger);
}

/// Init 100 forked 101 at T, which sets itself up for 3 ms and is a program then; and 102, which performs a file effect.
fn set_up() -> Lives {
    let mut lives = Lives::default();
    lives.init(100, T - S);
    for (pid, stage) in [(101, BirthStage::Program), (102, BirthStage::Effect)] {
        lives.fork(100, pid, T);
        lives.born(&Birth { pid, at: T + MS / 10, stage: BirthStage::SetUp });
        lives.born(&Birth { pid, at: T + 3 * MS, stage });
    }
    lives
}

#[test]
fn until_its_program_begins_a_child_is_foils_and_then_the_techniques() {
    for exact in [true, false] {
        let mut lives = set_up();
        lives.exec(101, T + 3 * MS + 1);
        let at = |pid, at| lives.contains(pid, Some(100), at, EXACT, exact);
        assert_eq!(at(100, T + 5 * MS), Member::Foil);
        for (pid, member) in [(101, Member::Yes), (102, Member::Effect)] {
            assert_eq!(at(pid, T + MS), Member::Foil, "{pid}");
            assert_eq!(at(pid, T + 3 * MS - 1), Member::Foil, "{pid}");
            assert_eq!(at(pid, T + 3 * MS), member, "{pid}");
            let coarse = lives.contains(pid, Some(100), T + 2 * MS, ClockGrain::COARSE, exact);
            assert_eq!(coarse, Member::Unclear { effect: pid == 102 });
            let long_before = lives.contains(pid, Some(100), T - 20 * MS, ClockGrain::COARSE, exact);
            assert_eq!(long_before, Member::Foil);
        }
        // What a program forks is the technique's from the fork on.
        lives.fork(101, 103, T + 4 * MS);
        assert_eq!(lives.contains(103, Some(101), T + 4 * MS, EXACT, exact), Member::Yes);
    }
}

#[test]
fn a_coarse_stamp_does_not_put_a_descendant_before_its_parents_program() {
    for (exact, known) in [(true, true), (false, false)] {
        let mut lives = set_up();
        // Just after its program began, 101 forked 103, which forked 104. The kernel's coarse clock dates what they do before that.
        if known {
            lives.fork(101, 103, T + 4 * MS);
            lives.fork(103, 104, T + 5 * MS);
        } else {
            lives.link(103, 101, T - MS);
            lives.link(104, 103, T - MS);
        }
        for (pid, parent) in [(103, 101), (104, 103)] {
            for at in [T - MS, T + 2 * MS, T + 6 * MS] {
                let whose = lives.contains(pid, Some(parent), at, ClockGrain::COARSE, exact);
                assert_eq!(whose, Member::Yes, "{pid} at {at}, exact {exact}");
            }
        }
    }
}

#[test]
fn what_never_acts_stays_foils_with_all_that_it_forks() {
    let mut lives = Lives::default();
    lives.init(100, T);
    // The holder of the namespaces says nothing; the web server says that it serves. Neither executes anything.
    lives.fork(100, 101, T + MS);
    lives.fork(100, 102, T + MS);
    lives.born(&Birth { pid: 102, at: T + MS, stage: BirthStage::SetUp });
    lives.fork(102, 103, T + 2 * MS);
    for pid in [101, 102, 103] {
        assert_eq!(lives.contains(pid, None, T + S, EXACT, true), Member::Foil, "{pid}");
    }
}

#[test]
fn an_id_that_is_used_again_acts_by_its_own_word() {
    let mut lives = set_up();
    lives.exit(101, T + 5 * MS);
    let later = T + 60 * S;
    lives.fork(100, 101, later);
    lives.born(&Birth { pid: 101, at: later, stage: BirthStage::SetUp });
    assert_eq!(lives.contains(101, Some(100), T + 4 * MS, EXACT, true), Member::Yes);
    assert_eq!(lives.contains(101, Some(100), later + S, EXACT, true), Member::Foil);
    lives.born(&Birth { pid: 101, at: later + 2 * S, stage: BirthStage::Effect });
    assert_eq!(lives.contains(101, Some(100), later + S, EXACT, true), Member::Foil);
    assert_eq!(lives.contains(101, Some(100), later + 2 * S, EXACT, true), Member::Effect);
    assert_eq!(lives.contains(101, Some(100), T + 4 * MS, EXACT, true), Member::Yes);
}

#[test]
fn without_the_connector_orphans_are_told_from_init_s_own() {
    let mut lives = Lives::default();
    lives.init(100, T);
    lives.born(&Birth { pid: 101, at: T + S, stage: BirthStage::SetUp });
    lives.born(&Birth { pid: 101, at: T + S + MS, stage: BirthStage::Program });
    let orphan = |at| lives.contains(150, Some(100), at, EXACT, false);
    assert_eq!(orphan(T + S / 2), Member::Foil, "nobody of the technique's was there yet");
    assert_eq!(orphan(T + 2 * S), Member::Yes);
}

/// The audit stream stamps an execution with the moment of the call. On a busy machine the program begins long after it.
#[test]
fn who_executed_a_program_is_the_technique_however_long_that_took() {
    let tree = ProcessTree::of_nobody();
    let own = Image { exes: vec!["/opt/foil".into()], ..Image::default() };
    lock(&tree.own).know(50, vec![own]);
    {
        let mut lives = lock(&tree.lives);
        lives.init(100, T);
        assert!(lives.fork(100, 101, T + S) && lives.fork(1, 200, T + S));
        lives.exec(101, T + 2 * S);
        lives.exec(200, T + 2 * S);
    }
    // The kernel tells the title of the first event that it recorded of a process.
    let title = ("proctitle", "/proc/self/exe __launcher");
    let event = |kind: &str, pid: u32, ppid: u32, exe: &str, success: &str| Recorded {
        at: if kind == "unlinkat" { T + 3 * S } else { T + S + MS },
        kind: kind.to_owned(),
        own_observation: false,
        process: Some(Process { pid, ppid: Some(ppid), start: None }),
        likeness: None,
        fields: [("exe", exe), ("success", success), title]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let whose = |kind, pid, ppid, exe, success| tree.whose(&event(kind, pid, ppid, exe, success));
    assert_eq!(whose("execve", 101, 100, "/usr/bin/rm", "yes"), Whose::Technique);
    assert_eq!(whose("unlinkat", 101, 100, "/usr/bin/rm", "yes"), Whose::Technique);
    // What it did before is Foil's, and so is an execution that failed.
    assert_eq!(whose("openat", 101, 100, "/opt/foil", "yes"), Whose::Foil);
    assert_eq!(whose("openat", 101, 100, "/usr/bin/rm", "yes"), Whose::Foil);
    assert_eq!(whose("execve", 101, 100, "/opt/foil", "no"), Whose::Foil);
    assert_eq!(whose("execve", 101, 100, "/opt/foil", "yes"), Whose::Foil);
    // Somebody else's program, and the launcher's own.
    assert_eq!(whose("execve", 200, 1, "/usr/bin/rm", "yes"), Whose::Stranger);
    assert_eq!(whose("execve", 50, 1, "/usr/bin/rm", "yes"), Whose::Foil);
}
