//! `hello-world`: one layer, one file, a program of some dozen instructions that writes a text.
//!
//! The program is put together here, byte by byte (elf(5)): a header, one segment, write(2), exit(2).
//! So it needs no compiler, and the image is smaller than this page.

use super::keep;
use crate::image::registry::Error;
use crate::image::{Image, Store};
use crate::kernel::OrSys;
use serde_json::json;
use std::io::Write;

/// The image's name.
pub const NAME: &str = "hello-world";

/// Who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Another engine, or this one, through a registry.
    ForMirror,
    /// `skiff run`, where no registry could be reached.
    ForRun,
}

const TEXT: &str = "
Hello from a container!

Five things have just happened, and each of them worked:

  1. The engine looked for the image \"hello-world\" among those it has. An
     image is a manifest, a config and layers; this one has a single layer
     with a single file in it.
  2. It unpacked the layer into a directory.
  3. It gave a new process a world of its own: namespaces, a cgroup, and that
     directory as its root.
  4. In there the kernel ran the file, /hello, which wrote this text and ended.
  5. What it wrote went through a pipe or a terminal to the engine, and from
     there to you.

";

const MIRROR: &str = "This image came from a registry of skiff's, which made it. It is not the image
of that name from Docker Hub.
";
const RUN: &str = "No registry could be reached, so skiff made this image here. It is not the
image of that name from Docker Hub.
";
const NEXT: &str = "
To see the steps one by one:      skiff run --step hello-world
To look around in a larger one:   skiff run -it --rm base sh

";

/// Makes the image and stores it.
pub fn make(store: &Store, made: Made) -> Result<Image, Error> {
    let text = [TEXT, if made == Made::ForMirror { MIRROR } else { RUN }, NEXT].concat();
    let machine = std::env::consts::ARCH;
    let program = program(machine, text.as_bytes())
        .ok_or_else(|| Error::CannotMake { name: NAME.into(), problem: format!("its program is written for x86_64 and aarch64, and this is {machine}") })?;
    let writer = store.write()?;
    let mut tar = tar::Builder::new(writer.layer()?);
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, "hello", program.as_slice()).or_sys("write a layer")?;
    let mut layer = tar.into_inner().or_sys("write a layer")?;
    layer.flush().or_sys("write a layer")?;
    let layer = layer.finish()?;
    let config = json!({ "Cmd": ["/hello"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/" });
    keep(&writer, &[format!("{NAME}:latest")], config, env!("CARGO_PKG_VERSION"), &[layer], &["skiff: /hello, a program of its own".to_owned()])
}

/// A static program that writes `text` to standard output.
fn program(machine: &str, text: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(text.len()).ok()?;
    let (kind, code) = match machine {
        "x86_64" => (62_u16, x86_64(length)),
        "aarch64" => (183, aarch64(length)),
        _ => return None,
    };
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64 + text.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    // ELF header: executable, machine, version, entry, program headers right behind, no sections.
    [2_u16, kind].iter().for_each(|n| put(&n.to_le_bytes()));
    put(&1_u32.to_le_bytes());
    [BASE + HEADERS, 64, 0].iter().for_each(|n| put(&n.to_le_bytes()));
    put(&0_u32.to_le_bytes());
    [64_u16, 56, 1, 64, 0, 0].iter().for_each(|n| put(&n.to_le_bytes()));
    // The one segment: loaded, read and execute, the whole file.
    [1_u32, 5].iter().for_each(|n| put(&n.to_le_bytes()));
    [0, BASE, BASE, size, size, 0x1000].iter().for_each(|n: &u64| put(&n.to_le_bytes()));
    put(&code);
    put(text);
    Some(file)
}

/// write(1, text, length); exit(0).
fn x86_64(length: u32) -> Vec<u8> {
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0];
    // lea rsi, [rip + what follows up to the text]
    code.extend([0x48, 0x8d, 0x35, 16, 0, 0, 0, 0xba]);
    code.extend(length.to_le_bytes());
    code.extend([0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
    code
}

/// The same in eight words.
fn aarch64(length: u32) -> Vec<u8> {
    let words: [u32; 8] = [
        0xd280_0808,                         // mov x8, 64 (write)
        0xd280_0020,                         // mov x0, 1
        0x1000_00c1,                         // adr x1, the text, six words on
        0xd280_0002 | (length & 0xffff) << 5, // mov x2, length
        0xd400_0001,                         // svc 0
        0xd280_0ba8,                         // mov x8, 93 (exit)
        0xd280_0000,                         // mov x0, 0
        0xd400_0001,                         // svc 0
    ];
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use goblin::elf::Elf;

    #[test]
    fn the_program_is_whole_and_its_text_lies_where_it_looks_for_it() {
        for machine in ["x86_64", "aarch64"] {
            let file = program(machine, b"hello\n").unwrap();
            let elf = Elf::parse(&file).unwrap();
            assert_eq!((elf.entry, elf.program_headers.len(), elf.interpreter), (0x40_0078, 1, None), "{machine}");
            assert!(file.ends_with(b"hello\n"));
        }
        // Of the instruction that finds it, to its end: 16 bytes more on x86-64.
        assert_eq!(x86_64(0).len() - 17, 16);
        assert_eq!(aarch64(0).len() - 2 * 4, 6 * 4);
        assert!(program("riscv64", b"").is_none());
        assert!([TEXT, MIRROR, NEXT].concat().len() < 4096, "one write(2) takes it whole, into a pipe too");
    }
}
