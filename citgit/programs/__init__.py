"""The programs: one file per verb, `main(argv) -> int`; errors become messages and exit statuses here."""
