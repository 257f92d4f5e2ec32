//! A Dockerfile as values: what each instruction says, and where it stands (Dockerfile reference).
//!
//! Three passes, each without knowledge of the next: [`lines`] joins what the escape character
//! continues and takes out comments and here-documents; [`parse`] understands one instruction;
//! [`super::expand`] puts variables in, later, when the build knows their values.
//!
//! The crates that parse Dockerfiles keep no positions and no here-documents' flags, and an error
//! without its place teaches nothing; so this one is ours. Docker's own takes more that has long been
//! out of use: here an empty line that continues nothing is an end.

pub mod lines;
mod fault;
mod parse;
mod print;
mod words;

pub use fault::Fault;
pub use lines::{Heredoc, Line};
pub use parse::{KEYWORDS, instruction};
pub use words::Word;

/// A file that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// As it is named in errors.
    pub name: String,
    /// Its text.
    pub text: String,
    /// `\`, or the backquote.
    pub escape: char,
    /// The `syntax` directive, if there is one: another front end, which is noted and not fetched.
    pub syntax: Option<String>,
    /// The instructions, in order.
    pub instructions: Vec<Instruction>,
}

/// One instruction and where it stands.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// What it says.
    pub what: What,
    /// As it was written, on one line.
    pub line: Line,
}

impl PartialEq for Instruction {
    /// The same words, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}
impl Eq for Instruction {}

/// What a process is given: words as they are, or a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `["a", "b"]`: no shell.
    Exec(Vec<String>),
    /// Everything else: the image's shell reads it.
    Shell(String),
}

/// `--name=value` of an instruction.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Without the dashes.
    pub name: String,
    /// What stands after `=`; `None` where nothing does.
    pub value: Option<String>,
    /// The whole flag as it was written, quotes and all.
    pub written: String,
    /// Where the flag begins, in the joined line.
    pub at: usize,
}

impl PartialEq for Flag {
    /// The same letters, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}
impl Eq for Flag {}

/// COPY and ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Their flags.
    pub flags: Vec<Flag>,
    /// What is copied; a here-document's word stands as it was written.
    pub sources: Vec<Word>,
    /// Where to.
    pub to: String,
    /// Files that stand in the Dockerfile itself.
    pub heredocs: Vec<Heredoc>,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// `NONE`: the base image's is off.
    None,
    /// A command, and how often.
    Check(Vec<Flag>, Command),
}

/// What an instruction says. Variables are not replaced yet, quotes still stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A stage begins.
    From {
        /// `--platform`.
        flags: Vec<Flag>,
        /// An image, an earlier stage, or `scratch`.
        image: Word,
        /// `AS` name, in lower case.
        name: Option<String>,
    },
    /// Names that may be given from outside, with their defaults.
    Arg(Vec<(String, Option<String>)>),
    /// Environment variables.
    Env(Vec<(String, String)>),
    /// Labels.
    Label(Vec<(String, String)>),
    /// A command whose changes become a layer.
    Run {
        /// `--mount`, `--network`, `--security`.
        flags: Vec<Flag>,
        /// What is run.
        command: Command,
        /// Here-documents of its line.
        heredocs: Vec<Heredoc>,
    },
    /// Files from the context, a stage or an image.
    Copy(Transfer),
    /// As COPY; unpacks archives, and fetches.
    Add(Transfer),
    /// The working directory.
    Workdir(String),
    /// Who commands run as.
    User(String),
    /// The default command.
    Cmd(Command),
    /// What the command is given to.
    Entrypoint(Command),
    /// Ports.
    Expose(Vec<String>),
    /// Directories that want a volume.
    Volume(Vec<String>),
    /// The signal that ends it.
    StopSignal(String),
    /// How to see whether it is well.
    HealthCheck(Health),
    /// The shell of the shell form.
    Shell(Vec<String>),
    /// An instruction for those who build on this image.
    OnBuild(Box<Instruction>),
    /// Who made it; a label does that today.
    Maintainer(String),
}

impl Dockerfile {
    /// Understands `text`. The first fault ends it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let (directives, lines) = lines::read(text)?;
        let mut instructions = Vec::new();
        for line in lines {
            let what = parse::instruction(&line, directives.escape)?;
            instructions.push(Instruction { what, line });
        }
        if instructions.is_empty() {
            return Err(Fault::whole("the Dockerfile has no instructions").expected("FROM image, for a beginning"));
        }
        Ok(Self { name: name.to_owned(), text: text.to_owned(), escape: directives.escape, syntax: directives.syntax, instructions })
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Dockerfile, What};
    use proptest::prelude::*;

    fn parse(text: &str) -> Dockerfile {
        Dockerfile::parse("Dockerfile", text).unwrap_or_else(|f| panic!("{}", f.shown("Dockerfile", text)))
    }

    #[test]
    fn lines_are_joined_and_comments_between_them_go() {
        let file = parse("# escape=`\n\nFROM a\nRUN one `\n  # gone\n\n  two \\\nCMD [\"x\", \"y\"]\n");
        assert_eq!(file.escape, '`');
        assert_eq!(file.instructions[1].what, What::Run { flags: vec![], command: Command::Shell("one   two \\".into()), heredocs: vec![] });
        assert_eq!(file.instructions[1].line.range(), 4..=7);
        assert_eq!(file.instructions[2].what, What::Cmd(Command::Exec(vec!["x".into(), "y".into()])));
    }

    #[test]
    fn here_documents_are_taken_along() {
        let file = parse("FROM a\nCOPY <<one <<-\"two\" /to/\n1 $x\none\n\t2\n\ttwo\nRUN <<E cat > x\nbody\nE\nUSER 1\n");
        let What::Copy(copy) = &file.instructions[1].what else { panic!("a COPY") };
        assert_eq!((copy.heredocs[0].content.as_str(), copy.heredocs[0].expand), ("1 $x\n", true));
        assert_eq!((copy.heredocs[1].content.as_str(), copy.heredocs[1].expand, copy.heredocs[1].chomp), ("2\n", false, true));
        assert_eq!(file.instructions.len(), 4);
    }

    #[test]
    fn a_list_that_is_no_json_is_a_line_for_the_shell() {
        let file = parse("FROM a\nRUN [ -e x ] && y\nRUN ['a']\n");
        assert_eq!(file.instructions[1].what, What::Run { flags: vec![], command: Command::Shell("[ -e x ] && y".into()), heredocs: vec![] });
        assert_eq!(file.instructions[2].what, What::Run { flags: vec![], command: Command::Shell("['a']".into()), heredocs: vec![] });
    }

    fn instruction() -> impl Strategy<Value = String> {
        let word = "[a-z$/{}.=\"'_-]{1,8}";
        let words = prop::collection::vec(word, 1..4).prop_map(|w| w.join(" "));
        let keyword = prop::sample::select(super::KEYWORDS.to_vec());
        let flag = prop::sample::select(vec!["", "--from=x ", "--chown=1:2 ", "--mount=type=cache,target=/x ", "--platform=linux ", "--interval=1s ", "--mount=\"a b\"c=\"d e\"  ", "--mount='a b' --chown=\"1\" "]);
        let ending = prop::sample::select(vec!["", " \\", " <<EOF", " <<-'E'", "\nEOF", "\nE", " # x", "\\", "\r", " [\"a\", \"b\"]"]);
        (keyword, flag, words, ending).prop_map(|(keyword, flag, words, ending)| format!("{keyword} {flag}{words}{ending}"))
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            if let Err(fault) = Dockerfile::parse("f", &text) {
                fault.shown("f", &text);
            }
        }

        #[test]
        fn faults_point_into_the_file(lines in prop::collection::vec(instruction(), 1..6)) {
            let text = lines.join("\n");
            if let Err(fault) = Dockerfile::parse("f", &text) {
                prop_assert!(fault.line(&text) <= text.lines().count().max(1));
                fault.shown("f", &text);
            }
        }

        #[test]
        fn what_is_printed_is_parsed_as_the_same(lines in prop::collection::vec(instruction(), 0..6)) {
            let text = format!("FROM a\n{}", lines.join("\n"));
            if let Ok(file) = Dockerfile::parse("f", &text) {
                let printed = file.to_string();
                let again = Dockerfile::parse("f", &printed);
                prop_assert_eq!(again.map(|f| f.instructions), Ok(file.instructions), "{}", printed);
            }
        }
    }
}
