"""Verbs of the command: ``jlrun VERB`` runs `main` of the module of that name."""

VERBS = {
    "ls": "groups and their options",
    "init-config": "infer an experiment from a table and write it",
    "check": "find what is wrong with a configuration, without training",
    "resume": "go on with an interrupted run",
    "evaluate": "score a run's best checkpoint on its test split",
    "diagnose": "which tasks of a run help which, and whose gradients conflict",
    "predict": "predict the rows of a file or folder with a run's best checkpoint",
    "export": "write a run's weights as safetensors, for other programs and runs",
    "soup": "average the weights of several runs, as long as validation gains by it",
    "rank": "which run or pretrained model to transfer from, before training anything",
    "board": "TensorBoard over outputs/",
    "help": "this text",
}
