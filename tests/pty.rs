//! Pseudo-terminals: a program on one is a program at a terminal.

use drydock::kernel::pty::{self, Raw, Size};
use drydock::kernel::session;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;

/// All that comes from the master until the other side has gone (EIO).
fn rest(master: OwnedFd) -> String {
    let mut master = std::fs::File::from(master);
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n) = master.read(&mut buffer)
        && n > 0
    {
        text.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn on_a_terminal(size: Size, script: &str) -> (std::process::Child, OwnedFd) {
    let (master, slave) = pty::pair().expect("a pseudo-terminal");
    pty::set_size(&master, size).expect("its size can be set");
    let child = session::start(Command::new("sh").args(["-c", script]), slave).expect("sh starts");
    (child, master)
}

#[test]
fn a_program_on_a_pair_leads_a_session_and_sees_the_size_that_was_set() {
    let size = Size { rows: 33, columns: 99 };
    let script = "stty size; test -t 0 && test -t 1 && test -t 2 && echo three; read -r p c s pp g ss t tp x </proc/$$/stat; echo $((p == ss)) $((tp == g))";
    let (mut child, master) = on_a_terminal(size, script);
    assert_eq!(rest(master), "33 99\r\nthree\r\n1 1\r\n");
    assert!(child.wait().expect("our child").success());
}

#[test]
fn a_terminal_tells_its_program_that_the_size_has_changed() {
    let (mut child, master) = on_a_terminal(Size { rows: 1, columns: 2 }, "trap 'stty size; exit 0' WINCH; echo ready; while :; do read -r line; done");
    let mut screen = std::fs::File::from(master.try_clone().expect("a descriptor"));
    let mut seen = [0; 7];
    screen.read_exact(&mut seen).expect("it says ready");
    assert_eq!(&seen, b"ready\r\n");
    pty::set_size(&master, Size { rows: 5, columns: 66 }).expect("its size can be set");
    assert_eq!(pty::size(&master).expect("and read"), Size { rows: 5, columns: 66 });
    drop(screen);
    assert_eq!(rest(master), "5 66\r\n");
    assert!(child.wait().expect("our child").success());
}

#[test]
fn control_c_on_the_master_interrupts_the_program() {
    let (mut child, master) = on_a_terminal(Size { rows: 9, columns: 9 }, "echo ready; exec sleep 60");
    let mut screen = std::fs::File::from(master.try_clone().expect("a descriptor"));
    screen.read_exact(&mut [0; 7]).expect("it says ready");
    std::io::Write::write_all(&mut screen, b"\x03").expect("the master takes bytes");
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().expect("our child").signal(), Some(2));
}

#[test]
fn dropping_the_master_hangs_the_program_up() {
    let (mut child, master) = on_a_terminal(Size { rows: 9, columns: 9 }, "exec sleep 60");
    drop(master);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().expect("our child").signal(), Some(1));
}

#[test]
fn raw_mode_is_undone_when_it_is_dropped() {
    use nix::sys::termios::{LocalFlags, tcgetattr};
    let (_master, slave) = pty::pair().expect("a pseudo-terminal");
    let flags = || tcgetattr(&slave).expect("a terminal").local_flags;
    let before = flags();
    let raw = Raw::enter(&slave).expect("a terminal");
    assert!(!flags().intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
    drop(raw);
    assert_eq!(flags(), before);
}

#[test]
fn what_is_no_terminal_says_so() {
    let file = std::fs::File::open("/dev/null").expect("it is there");
    assert_eq!(pty::size(&file).expect_err("no size").to_string(), "cannot read the terminal's size: ENOTTY");
    assert!(Raw::enter(&file).is_err());
}
