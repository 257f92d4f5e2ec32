//! `skiff build` where it must do what Docker's does: what is another step, what a stage hands on, what
//! links become, what is left out.

#[macro_use]
mod support;

use support::bench::{Bench, ends, reasons};

#[test]
fn the_same_words_to_another_destination_are_another_step() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nWORKDIR /tmp\nCOPY f .\n");
    bench.write("f", "text\n");
    bench.build(&[]);
    bench.write("Dockerfile", "FROM base\nWORKDIR /etc\nCOPY f .\n");
    let changed = bench.build(&["--explain"]);
    assert_eq!(reasons(&changed, "[3/3] COPY f ."), ["not cached: its destination changed: is /etc/, was /tmp/"]);
    assert_eq!(bench.run("cat /etc/f"), "text\n");
    // A folder's slash decides as well, where the stage has nothing there.
    bench.write("Dockerfile", "FROM base\nCOPY f /new\n");
    bench.build(&[]);
    bench.write("Dockerfile", "FROM base\nCOPY f /new/\n");
    bench.build(&[]);
    assert_eq!(bench.run("cat /new/f"), "text\n");
    assert_eq!(reasons(&bench.build(&["--explain", "--no-cache"]), "[2/2] COPY"), ["not cached: --no-cache was given"]);
}

#[test]
fn variables_in_flags_are_part_of_a_step() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nARG U=1:2\nARG M=600\nARG X=a\nCOPY --chown=$U --chmod=$M f /f\nCOPY --exclude=$X d /d/\n");
    bench.write("f", "text\n");
    bench.write("d/a", "");
    bench.write("d/b", "");
    bench.build(&[]);
    let root = nix::unistd::geteuid().is_root();
    let seen = |owner: &str, mode: &str, left: &str| format!("{} {mode}\n{left}\n", if root { owner } else { "0:0" });
    let look = "stat -c '%u:%g %a' /f; ls /d";
    assert_eq!(bench.run(look), seen("1:2", "600", "b"));
    let changed = bench.build(&["--explain", "--build-arg", "U=3:4", "--build-arg", "M=640", "--build-arg", "X=b"]);
    assert_eq!(reasons(&changed, "[2/3] COPY"), ["not cached: its instruction changed: was COPY --chown=1:2 --chmod=600 f /f"]);
    assert_eq!(reasons(&changed, "[3/3] COPY")[0], "not cached: its instruction changed: was COPY --exclude=a d /d/");
    assert_eq!(bench.run(look), seen("3:4", "640", "a"));
    let again = bench.build(&["--build-arg", "U=3:4", "--build-arg", "M=640", "--build-arg", "X=b"]);
    assert_eq!(ends(&again, "CACHED"), 2);
}

#[test]
fn a_stage_on_a_stage_has_its_triggers_and_its_args() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base AS a\nARG X=xx\nONBUILD COPY f /f\nONBUILD RUN echo \"$X\" > /ob\nFROM a AS b\nARG X\nRUN echo \"b $X\" > /x\nFROM b\nRUN echo \"c $X\" >> /x\n");
    bench.write("f", "text\n");
    let lines = bench.build(&[]);
    assert!(lines.iter().any(|l| l.ends_with("[b 1/3] COPY f /f")) && lines.iter().any(|l| l.ends_with("[stage-2 1/1] RUN echo \"c $X\" >> /x")), "{lines:#?}");
    assert_eq!(bench.run("cat /f /ob /x"), "text\nxx\nb xx\nc xx\n");
    let config = support::stdout(&mut bench.room.skiff(&["image", "inspect", "it"]));
    assert!(!config.contains("ONBUILD") && !config.contains("/ob\""), "{config}");
    let document: serde_json::Value = serde_json::from_str(&config).expect("it is a document");
    assert_eq!(document[0]["Config"].get("OnBuild").cloned().unwrap_or_default(), serde_json::Value::Null);
    bench.build(&["--build-arg", "X=given"]);
    assert_eq!(bench.run("cat /ob /x"), "given\nb given\nc given\n");
}
