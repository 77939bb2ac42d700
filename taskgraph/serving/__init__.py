"""Workers: a supervisor that lives long, and slots that run one execution after the other."""
