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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Without the dashes.
    pub name: String,
    /// What stands after `=`; `None` where nothing does.
    pub value: Option<String>,
    /// Where the flag begins, in the joined line.
    pub at: usize,
}

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
