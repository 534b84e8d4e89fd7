//! Sound server, device, model and configuration are missing, wrong or lost, and come back.

use super::{event, is, listen, short_speech};
use crate::desktop::{Desktop, signal};
use crate::support::jfk;
use serde_json::Value;

#[test]
fn the_sound_server_and_the_device_may_vanish_during_speech() {
    let mut desktop = Desktop::new();
    let mut listen = listen(&desktop, &[]);
    let playing = desktop.play(&jfk());
    listen.wait_for("partial", |line| is(&event(line), "partial").then_some(()));
    desktop.kill_sound();
    drop(playing);
    listen.wait_for("loss of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    desktop.start_sound();
    listen.wait_for("device again", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    let unloaded = desktop.output("pactl", &["unload-module", "module-null-sink"]);
    assert!(unloaded.status.success());
    listen.wait_for("loss of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    assert!(
        desktop
            .output(
                "pactl",
                &["load-module", "module-null-sink", "sink_name=other"]
            )
            .status
            .success()
    );
    listen.wait_for("other device", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    assert_eq!(desktop.status()["sessions"][0]["device"], "other.monitor");
    let _playing = desktop.play(&short_speech());
    listen.wait_for("text after all that", |line| {
        let event = event(line);
        (is(&event, "final")
            && event["text"]
                .as_str()
                .is_some_and(|text| text.contains("fellow")))
        .then_some(())
    });
}

#[test]
fn a_lost_device_is_reported_once_and_so_is_its_return() {
    let mut desktop = Desktop::new();
    let both = format!("exec {} record 2>&1", env!("CARGO_BIN_EXE_hearken"));
    let mut record = desktop.follow(desktop.command("sh").args(["-c", &both]));
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    desktop.kill_sound();
    record.wait_for("loss", |line| {
        line.contains("cannot be reached").then_some(())
    });
    // The microphone is tried again several times meanwhile.
    std::thread::sleep(std::time::Duration::from_secs(2));
    desktop.start_sound();
    record.wait_for("sound", |line| {
        line.contains("the problem is resolved").then_some(())
    });
    signal(&record.child.0, "INT");
    let (code, lines) = record.finish();
    assert_eq!(code, Some(0));
    let distinct: std::collections::BTreeSet<&String> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len(), "{lines:#?}");
}

#[test]
fn without_a_model_there_is_nothing_to_wait_for() {
    let mut desktop = Desktop::without_daemon();
    desktop.configure("[audio]\npre_capture = 20\n");
    desktop.start_daemon();
    desktop.wait_for("the missing model", |d| {
        (d.status()["state"] == "missing").then_some(())
    });
    let program = env!("CARGO_BIN_EXE_hearken");
    for command in ["listen", "record"] {
        let both = format!("exec {program} {command} 2>&1");
        let mut client = desktop.follow(desktop.command("sh").args(["-c", &both]));
        client.wait_for("remedy", |line| {
            line.contains("hearken models fetch base").then_some(())
        });
        desktop.wait_for("the microphone", |desktop| {
            desktop.is_recording().then_some(())
        });
        signal(&client.child.0, "INT");
        let code = desktop.wait_for("its end", |_| {
            client
                .child
                .0
                .try_wait()
                .expect("a child")
                .map(|s| s.code())
        });
        assert_eq!(code, Some(0), "{command}");
    }
    let last = desktop.output_of(desktop.hearken().args(["last", "1000"]));
    assert_eq!(last.status.code(), Some(8));
    let told = String::from_utf8_lossy(&last.stderr).into_owned();
    assert!(
        told.contains("only the last 20 s are kept") && told.contains("hearken models fetch base"),
        "{told}"
    );
}

#[test]
fn the_daemon_waits_for_its_model_and_heeds_signals() {
    let installed = crate::support::model("base");
    let mut desktop = Desktop::without_daemon();
    desktop.configure("[endpoint]\npuase = 1\n");
    let refused = desktop.output_of(desktop.hearken().arg("daemon"));
    assert_eq!(refused.status.code(), Some(10));
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        reason.contains("unknown key 'endpoint.puase': did you mean 'pause'?"),
        "{reason}"
    );

    desktop.configure("");
    desktop.start_daemon();
    let status = desktop.wait_for("the missing model", |d| {
        Some(d.status()).filter(|status| status["state"] == "missing")
    });
    assert!(
        status["status_message"]
            .as_str()
            .is_some_and(|t| t.contains("hearken models fetch base")),
        "{status}"
    );
    let again = desktop.output_of(desktop.hearken().arg("daemon"));
    assert_eq!(
        again.status.code(),
        Some(8),
        "one daemon is enough: {}",
        String::from_utf8_lossy(&again.stderr)
    );
    let idle = desktop.follow(desktop.hearken().args(["listen", "--standby", "--json"]));
    desktop.wait_for("session", |desktop| {
        desktop.status()["sessions"][0].is_object().then_some(())
    });
    let model = desktop.dir.path().join("models/base.safetensors");
    let header = br#"{"__metadata__":{"format":"hearken-model","version":"1"}}"#;
    std::fs::write(
        &model,
        [&(header.len() as u64).to_le_bytes(), header.as_slice()].concat(),
    )
    .expect("a file");
    let is_told = |status: &Value| {
        status["status_message"]
            .as_str()
            .is_some_and(|t| t.contains("an earlier version of Hearken"))
    };
    desktop.wait_for("the outdated model", |desktop| {
        is_told(&desktop.status()).then_some(())
    });
    std::fs::remove_file(&model).expect("a file");
    std::os::unix::fs::symlink(installed.path(), model).expect("a link");
    desktop.wait_for("the model", |desktop| {
        (desktop.status()["state"] == "ready").then_some(())
    });

    desktop.configure("[model]\nname = \"nothing\"\n");
    signal(desktop.daemon(), "HUP");
    desktop.wait_for("the new configuration", |desktop| {
        (desktop.status()["model"] == "nothing").then_some(())
    });
    signal(desktop.daemon(), "TERM");
    assert_eq!(desktop.daemon().wait().expect("the daemon").code(), Some(0));
    assert_eq!(
        idle.finish().1,
        [] as [&str; 0],
        "nobody has started that session"
    );
    assert_eq!(
        desktop
            .output_of(desktop.hearken().arg("status"))
            .status
            .code(),
        Some(8)
    );
}
