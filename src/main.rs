//! drydock: the course. Parses, dispatches, prints an error, sets the exit code.

fn main() -> std::process::ExitCode {
    drydock::cli::drydock::main()
}
