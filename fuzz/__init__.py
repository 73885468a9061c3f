"""The loop: generate, execute, judge, report; and the command line on top."""
