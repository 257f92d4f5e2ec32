//! skiff: the container engine. Parses, dispatches, prints an error, sets the exit code.

fn main() -> std::process::ExitCode {
    drydock::cli::skiff::main()
}
