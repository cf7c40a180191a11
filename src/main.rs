fn main() -> std::process::ExitCode {
    seawall::cli::main()
}
