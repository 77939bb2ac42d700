"""What calls print: told apart by call, kept in a file for each, and still shown."""
