#!/usr/bin/env bash
# tokenizers 0.23.3: training WordPiece on the same texts, in the same order, in two processes gives the same subwords
# under different ids. There is no seed. BpeTrainer, on the same texts, gives the same ids every time, although
# WordPiece's trainer is built on it. Embeddings trained with one vocabulary are wrong for some tokens of the other, in
# silence, as both vocabularies have the same size.
# Seen: BPE: one vocabulary from 6 processes; WordPiece: 6, some 30 of 500 tokens with another id than in the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cat > "$folder/train.py" <<'PY'
import json
import random
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

draw = random.Random(0)
syllables = [a + b for a in "bdgklmnprst" for b in "aeiou"]
words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(600)]
texts = [" ".join(draw.choices(words, k=12)) for _ in range(800)]
if sys.argv[1] == "bpe":
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    trainer = trainers.BpeTrainer
else:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
options = dict(vocab_size=500, special_tokens=["[UNK]"], show_progress=False)
tokenizer.train_from_iterator(texts, trainer(**options))
print(json.dumps(tokenizer.get_vocab(), sort_keys=True))
PY
for kind in bpe wordpiece; do
    for _ in 1 2 3 4 5 6; do "$folder/venv/bin/python" "$folder/train.py" "$kind"; done > "$folder/$kind"
done
"$folder/venv/bin/python" - "$folder/bpe" "$folder/wordpiece" <<'PY'
import json
import sys
from importlib.metadata import version

print("tokenizers", version("tokenizers"))
kinds = {}
for file in sys.argv[1:]:
    lines = open(file).read().splitlines()
    first, *others = map(json.loads, lines)
    assert all(other.keys() == first.keys() for other in others), "the subwords differ, too"
    moved = [sum(other[token] != first[token] for token in first) for other in others]
    kinds[file] = len(set(lines))
    print(f"{file.rsplit('/', 1)[1]}: {len(set(lines))} vocabularies of {len(first)} tokens;", "other ids:", moved)
assert kinds[sys.argv[1]] == 1 and kinds[sys.argv[2]] > 1, "the behaviour has changed"
PY
