"""Studies: the runs that show whether, where and how learning jointly helps on one data set."""
