//! Following a log through all that happens to logs.

use super::support::{events, log, now, source, until, values};
use foil_collector::Blindness;
use foil_collector::file::Follower;
use foil_policy::sources::{FileFormat, FileSource};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).expect("the log")
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sensor.log");
    (folder, path)
}

#[test]
fn only_what_is_written_after_arming_counts_and_it_comes_at_once() {
    let (_folder, path) = folder();
    let mut file = append(&path);
    file.write_all(b"{\"n\":\"old\"}\n{\"n\":\"begun").unwrap();
    let log = log();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Json)).unwrap();
    file.write_all(b" before\"}\n").unwrap();
    let mut delays: Vec<Duration> = (0..50)
        .map(|n| {
            let began = Instant::now();
            writeln!(file, "{{\"n\":\"{n}\"}}").unwrap();
            until("the event", || log.newest() == n + 1);
            began.elapsed()
        })
        .collect();
    delays.sort();
    assert!(delays[25] < Duration::from_millis(10), "median {:?}", delays[25]);
    assert_eq!(follower.verify(), None);
    assert_eq!(values(&log, "n"), (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_is_there_when_an_absence_is_to_be_believed_was_read() {
    let (_folder, path) = folder();
    let (log, mut file) = (log(), append(&path));
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
    for n in 1..=200 {
        writeln!(file, "line {n}").unwrap();
        assert_eq!(follower.verify(), None);
        assert_eq!(log.newest(), n, "it is in the file, so it is in the log");
    }
}

#[test]
fn rotation_loses_nothing_not_even_what_the_writer_says_to_the_old_file() {
    let (folder, path) = folder();
    let (log, mut file) = (log(), append(&path));
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
    let mut expected = Vec::new();
    let mut write = |file: &mut File, text: String| {
        writeln!(file, "{text}").unwrap();
        expected.push(text);
    };
    for turn in 0..5 {
        write(&mut file, format!("{turn} before"));
        fs::rename(&path, folder.path().join(format!("sensor.log.{turn}"))).unwrap();
        write(&mut file, format!("{turn} after the rename"));
        let mut new = append(&path);
        write(&mut new, format!("{turn} in the new one"));
        write(&mut file, format!("{turn} still in the old one"));
        file = new;
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(follower.finish(), None);
    let mut got = values(&log, "line");
    got.sort();
    expected.sort();
    assert_eq!(got, expected);
}

#[test]
fn a_log_that_is_moved_away_and_back_is_not_read_twice() {
    let (folder, path) = folder();
    let (log, mut file) = (log(), append(&path));
    writeln!(file, "old").unwrap();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    writeln!(file, "while it was away").unwrap();
    assert!(matches!(follower.verify(), Some(Blindness::Dead(_))));
    fs::rename(&away, &path).unwrap();
    writeln!(file, "back").unwrap();
    assert_eq!(follower.verify(), None);
    assert_eq!(values(&log, "line"), ["while it was away", "back"]);
}

#[test]
fn rotation_that_nobody_can_follow_is_said() {
    let (folder, path) = folder();
    append(&path);
    let log = log();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
    for turn in 0..100 {
        fs::rename(&path, folder.path().join(turn.to_string())).unwrap();
        writeln!(append(&path), "{turn}").unwrap();
    }
    let why = follower.verify();
    let all = log.newest() == 100;
    assert!(all || matches!(&why, Some(Blindness::Lost(why)) if why.contains("between two looks")), "{why:?}");
    assert!(!all || why.is_none());
}

#[test]
fn truncation_is_followed_and_said() {
    let (_folder, path) = folder();
    for grown in [false, true] {
        let mut file = File::create(&path).unwrap();
        writeln!(file, "old").unwrap();
        let log = log();
        let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
        let mut file = append(&path);
        writeln!(file, "first").unwrap();
        assert_eq!(follower.verify(), None);
        // As `copytruncate` does; where it has grown beyond what was read by the next look, the size does not show it.
        fs::write(&path, if grown { "second, and more than there was before\n" } else { "2nd\n" }).unwrap();
        assert!(matches!(follower.verify(), Some(Blindness::Lost(why)) if why.contains("was truncated")));
        writeln!(append(&path), "third").unwrap();
        until("the third line", || values(&log, "line").last().is_some_and(|line| line == "third"));
        assert_eq!(values(&log, "line").len(), 3);
        // The size tells nothing where it is the same again.
        let size = fs::metadata(&path).unwrap().len();
        fs::write(&path, format!("{}\n", "4".repeat(usize::try_from(size).unwrap() - 1))).unwrap();
        until("the fourth line", || {
            drop(follower.verify());
            values(&log, "line").last().is_some_and(|line| line.starts_with('4'))
        });
    }
}

#[test]
fn a_file_that_comes_late_is_read_from_its_beginning() {
    let (folder, _) = folder();
    let path = folder.path().join("not/yet/there.log");
    let log = log();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Text)).unwrap();
    assert!(matches!(follower.verify(), Some(Blindness::Dead(why)) if why.contains("does not exist")));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    writeln!(append(&path), "hello").unwrap();
    until("the line", || log.newest() == 1);
    assert_eq!(follower.finish(), None, "that it was not there was a matter of the moment");
}

#[test]
fn a_line_without_an_end_is_waited_for_and_taken_where_it_is_whole() {
    let (_folder, path) = folder();
    let (text, json, mut file) = (log(), log(), append(&path));
    let lines = Follower::arm(text.clone(), &source(&path, FileFormat::Text)).unwrap();
    let objects = Follower::arm(json.clone(), &source(&path, FileFormat::Json)).unwrap();
    file.write_all(b"{\"a\":").unwrap();
    for follower in [&lines, &objects] {
        assert!(matches!(follower.verify(), Some(Blindness::Lost(why)) if why.contains("no end yet")));
    }
    file.write_all(b"1}").unwrap();
    assert!(lines.verify().is_some());
    assert_eq!(objects.verify(), None);
    file.write_all(b"\n{\"a\":2}\n").unwrap();
    assert_eq!((lines.verify(), objects.verify()), (None, None));
    assert_eq!(values(&json, "a"), ["1", "2"]);
    assert_eq!(values(&text, "line"), ["{\"a\":1}", "{\"a\":2}"]);
}

#[test]
fn binary_and_endless_lines_do_no_harm_and_are_not_passed_over_in_silence() {
    let (_folder, path) = folder();
    let (log, mut file) = (log(), append(&path));
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Json)).unwrap();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    file.write_all(&noise).unwrap();
    file.write_all(b"\n{\"n\":1}\n").unwrap();
    assert!(matches!(follower.verify(), Some(Blindness::Lost(why)) if why.contains("not JSON")));
    assert_eq!(values(&log, "n").last().map(String::as_str), Some("1"));
    assert!(events(&log).iter().all(|e| e.fields.values().all(|v| v.len() < 64 << 10)));

    let line = [b"{\"x\":\"".to_vec(), vec![b'x'; 10 << 20], b"\"}\n{\"n\":2}\n".to_vec()].concat();
    file.write_all(&line).unwrap();
    assert!(matches!(follower.verify(), Some(Blindness::Lost(why)) if why.contains("longer than 1 MiB")));
    let all = events(&log);
    let [.., cut, last] = &all[..] else { panic!("two more events") };
    assert_eq!((cut.fields["cut"].as_str(), last.fields["n"].as_str()), ("yes", "2"));
    assert!(cut.fields["line"].len() <= 8 << 10);
}

#[test]
fn a_hole_of_zeros_as_copytruncate_leaves_is_passed_over() {
    let (_folder, path) = folder();
    let mut file = File::create(&path).unwrap();
    let log = log();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Json)).unwrap();
    file.set_len(64 << 20).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(b"{\"n\":1}\n").unwrap();
    assert_eq!(follower.verify(), None);
    assert_eq!(values(&log, "n"), ["1"]);
    // A hole costs nothing to make, and nothing to read; what comes after it is read.
    file.set_len(10 << 40).unwrap();
    assert_eq!(follower.verify(), None);
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start((10 << 40) + 4096)).unwrap();
    file.write_all(b"{\"n\":2}\n").unwrap();
    assert_eq!(follower.verify(), None);
    assert_eq!(values(&log, "n"), ["1", "2"]);
}

/// Whoever writes a log must not keep Foil reading: what is not read yet is said, and everybody else goes on.
#[test]
fn a_flood_of_lines_is_no_absence_and_keeps_nobody_waiting() {
    let (folder, path) = folder();
    append(&path);
    let log = log();
    let follower = Follower::arm(log.clone(), &source(&path, FileFormat::Json)).unwrap();
    let large = folder.path().join("large");
    fs::write(&large, "{}\n".repeat(8 << 20)).unwrap();
    fs::rename(&large, &path).unwrap();
    let begun = std::time::Instant::now();
    let blind = follower.verify();
    // Of two ways to be slow: the reader's own time is over, or the run's log is full.
    assert!(matches!(blind, Some(Blindness::Lost(_))), "{blind:?}");
    drop(follower);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// What a writer left without an end before it was rotated away is read, and where it is half a line that is said.
#[test]
fn the_last_line_of_a_rotated_file_counts() {
    let (folder, path) = folder();
    let (text, json) = (log(), log());
    let lines = Follower::arm(text.clone(), &source(&path, FileFormat::Text)).unwrap();
    let objects = Follower::arm(json.clone(), &source(&path, FileFormat::Json)).unwrap();
    for (number, (line, whole)) in [("{\"n\":\"1\"}", true), ("{\"n\":\"2\",\"x\":", false)].into_iter().enumerate() {
        append(&path).write_all(line.as_bytes()).unwrap();
        if whole {
            until("the whole object", || values(&json, "n") == ["1"]);
        }
        // Both have read it before it goes.
        [&lines, &objects].iter().for_each(|follower| drop(follower.verify()));
        fs::rename(&path, folder.path().join(format!("log.{number}"))).unwrap();
        append(&path);
        for follower in [&lines, &objects] {
            let blind = follower.verify();
            assert!(matches!(&blind, Some(Blindness::Lost(why)) if why.contains("rotated away")) || whole, "{blind:?}");
        }
        assert!(values(&text, "line").contains(&line.to_owned()), "{line}");
    }
    assert_eq!(values(&json, "n").first().map(String::as_str), Some("1"));
}

/// Rotation where the kernel tells of nothing unless it is asked: another folder, and behind a link.
#[test]
fn files_that_came_and_went_in_other_folders_are_said() {
    let (folder, _) = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("log");
    append(&path);
    let log_of_folder = log();
    let follower = Follower::arm(log_of_folder, &source(&path, FileFormat::Text)).unwrap();
    fs::rename(&inner, folder.path().join("aside")).unwrap();
    fs::create_dir(&inner).unwrap();
    fs::write(&path, "gone\n").unwrap();
    fs::rename(&path, inner.join("log.1")).unwrap();
    append(&path);
    let blind = follower.verify();
    assert!(matches!(&blind, Some(Blindness::Lost(why)) if why.contains("was replaced")), "{blind:?}");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let behind = log();
    let follower = Follower::arm(behind.clone(), &source(&link, FileFormat::Text)).unwrap();
    for number in 2..4 {
        fs::rename(&path, inner.join(format!("log.{number}"))).unwrap();
        fs::write(&path, "gone\n").unwrap();
    }
    let blind = follower.verify();
    // The reader may have been quick enough to read both.
    let said = matches!(&blind, Some(Blindness::Lost(why)) if why.contains("more than once"));
    assert!(said || values(&behind, "line") == ["gone", "gone"], "{blind:?}");
}

#[test]
fn many_runs_share_one_reader_and_it_ends_with_the_last() {
    let threads = || {
        let names = fs::read_dir("/proc/self/task").unwrap().flatten();
        names.filter(|t| fs::read_to_string(t.path().join("comm")).is_ok_and(|c| c.trim() == "foil-file")).count()
    };
    let descriptors = |path: &Path| {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        links.filter(|link| link == path).count()
    };
    let (_folder, path) = folder();
    let mut file = append(&path);
    let own = descriptors(&path);
    let logs: Vec<_> = (0..200).map(|_| log()).collect();
    let arm = |log| Follower::arm(log, &source(&path, FileFormat::Json)).unwrap();
    let mut followers: Vec<_> = logs.iter().cloned().map(arm).collect();
    assert_eq!(descriptors(&path), own + 1);
    writeln!(file, "{{\"run\":\"{}\"}}", logs[7].run()).unwrap();
    writeln!(file, "{{\"n\":1}}").unwrap();
    for (n, (log, follower)) in logs.iter().zip(&followers).enumerate() {
        assert_eq!(follower.verify(), None);
        assert_eq!(log.newest(), if n == 7 { 2 } else { 1 }, "an event that names a run is that run's only");
    }
    followers.truncate(1);
    writeln!(file, "{{\"n\":2}}").unwrap();
    until("the line", || logs[0].newest() == 2);
    assert_eq!(logs[1].newest(), 1);
    drop(followers);
    until("the reader's end", || descriptors(&path) == own);
    assert!(threads() <= 12, "other tests follow logs too");
}

#[test]
fn what_is_no_log_is_refused_with_a_sentence() {
    let (folder, path) = folder();
    let refused = |source: &FileSource| match Follower::arm(log(), source) {
        Err(Blindness::Dead(why)) => why,
        other => panic!("{other:?}"),
    };
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for path in [path.as_path(), folder.path(), Path::new("/dev/null")] {
        assert!(refused(&source(path, FileFormat::Text)).contains("is no regular file"));
    }
    let pattern = |pattern: &str| FileSource {
        pattern: Some(pattern.into()),
        ..source(&folder.path().join("x"), FileFormat::Regex)
    };
    for bad in ["(", r"(\w{1000}){1000}"] {
        let why = refused(&pattern(bad));
        assert!(why.contains("is no regular expression that can be used"), "{why}");
    }
    // Turned into something else meanwhile.
    let path = folder.path().join("y");
    fs::write(&path, "").unwrap();
    let follower = Follower::arm(log(), &source(&path, FileFormat::Text)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(follower.verify(), Some(Blindness::Lost(why)) if why.contains("is no regular file")));
}

#[test]
fn the_time_is_what_the_named_field_says() {
    let (_folder, path) = folder();
    let (log, mut file) = (log(), append(&path));
    let source = FileSource {
        pattern: Some(r"^(?<when>\S+) (?<what>.*)".into()),
        time: Some("when".into()),
        ..source(&path, FileFormat::Regex)
    };
    let follower = Follower::arm(log.clone(), &source).unwrap();
    let at = now() / 1_000_000 * 1_000_000;
    writeln!(file, "{} said\nno-time either", at / 1_000_000).unwrap();
    assert_eq!(follower.verify(), None);
    let events = events(&log);
    assert_eq!((events[0].at, events[0].fields["what"].as_str()), (at, "said"));
    assert!(events[1].at >= at, "when it was read");
}
