//! What an idle agent costs: memory and processor time.

use crate::presence::Desk;
use crate::session::{Session, wait_for};
use std::time::Duration;

/// Kibibytes that a process holds in memory, by the kernel's count.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("VmRSS").parse().expect("a number")
}

/// Processor time of all threads so far, in the kernel's ticks of 10 ms.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // The name may hold spaces; behind it, user and system time are fields 12 and 13.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |i: usize| fields[i].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
#[ignore = "needs an X server"]
fn an_idle_agent_takes_little_memory_and_no_time() {
    let names = ["daemon", "notifications", "logind", "watcher"];
    let mut desk = Desk::on(Session::x11(), "[captions]\nshow = \"always\"\n", &names);
    let agent = desk.start_agent();
    desk.expect_call("RegisterStatusNotifierItem");
    std::thread::sleep(Duration::from_secs(2));
    let (before, memory) = (ticks(agent), resident(agent));
    std::thread::sleep(Duration::from_secs(10));
    let idle = ticks(agent) - before;
    println!("idle: {memory} KiB, {idle} ticks of 10 ms in 10 s");
    wait_for("the agent", || desk.agent("call", "Start"));
    desk.expect_call("Start");
    desk.tell("partial Ask not what your country| can do for you: 漢字");
    std::thread::sleep(Duration::from_secs(2));
    let with_captions = resident(agent);
    println!("with captions: {with_captions} KiB");
    assert!(memory <= 25_000, "{memory} KiB");
    assert!(with_captions <= 60_000, "{with_captions} KiB");
    assert!(idle <= 1, "{idle} ticks");
}
