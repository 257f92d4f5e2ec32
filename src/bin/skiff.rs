//! skiff: the container engine by itself (`cli/skiff/whole.rs` says why). Parses, dispatches, prints an error, sets the exit code.

fn main() -> std::process::ExitCode {
    drydock::cli::skiff::engine()
}
