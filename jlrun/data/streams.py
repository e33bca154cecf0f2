"""Streams: endless, exactly resumable batches of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from jlrun.data.augmentation.augment import Augment
from jlrun.data.augmentation.image_ops import RowDraws
from jlrun.data.balanced_order import balanced_order
from jlrun.data.batch import Batch
from jlrun.data.lazy_inputs import LazyInputs, MakeRows
from jlrun.data.rows import Rows, tasks_with_maps
from jlrun.data.sources import FetchingSource, MemorySource, Source
from jlrun.data.specs import Spec
from jlrun.data.strata import class_column
from jlrun.data.transforms import InputTransform, as_unit, to_unit
from jlrun.data.view import View
from jlrun.errors import UserError
from jlrun.seeding import derive_seed

NO_AUGMENT = Augment()
BLOCK_BYTES = 2**18  # of batches that are made at once: they stay in the cache until they are used

# float inputs in [0, 1], a generator, specs -> augmented versions of the inputs
MakeViews = Callable[[Batch, Generator, Mapping[str, Spec]], tuple[Mapping[str, Tensor], ...]]


class Stream:
    """Batches of one split, on the device, in the form that the model takes.

    Training step ``s`` is position ``s % steps_per_epoch`` of epoch ``s // steps_per_epoch``. The
    order of an epoch depends on ``(seed, name, epoch)`` alone, the augmentation of a step on
    ``(seed, name, step)``: any step can be repeated without those before it. The batches are the
    same whether rows are held in memory or fetched.

    Args:
        name: of the stream, such as ``source``; streams of other names are ordered differently.
        rows: the split.
        specs: modality -> spec of the rows; modalities without an entry are left out.
        model_specs: modality -> spec of the model, where it differs.
        batch_size: rows per training step; all rows where there are fewer.
        seed: of order and augmentation.
        device: where batches are used.
        augment: augmentation of training batches; None: none.
        views: makes augmented views of the inputs of training batches; None: no views.
        labelled: whether batches have targets.
        balanced_by: task whose classes are equally frequent in training batches; None: every row
            is in an epoch once.
        memory_budget: bytes of decoded inputs up to which all rows are kept on the device.
        workers: processes that decode the rows of a larger split.
        channels_last: memory format of images.
        in_parts: make inputs of training batches only of those rows that are asked for, where rows
            are in memory, and neither mixed nor shown in views.

    Raises:
        UserError: if the model can't take the data set's modalities, or for augmentation of rows
            whose targets are maps, which would have to move with the images.
    """

    def __init__(
        self,
        name: str,
        rows: Rows,
        *,
        specs: Mapping[str, Spec],
        model_specs: Mapping[str, Spec] | None = None,
        batch_size: int,
        seed: int,
        device: torch.device,
        augment: Augment | None = None,
        views: MakeViews | None = None,
        labelled: bool = True,
        balanced_by: str | None = None,
        memory_budget: int,
        workers: int = 0,
        channels_last: bool = False,
        in_parts: bool = False,
    ) -> None:
        self.name = name
        self.rows = rows
        self.specs = dict(specs)
        self.batch_size = batch_size
        self._seed = seed
        self._device = device
        self._augment = augment or NO_AUGMENT
        self._make_views = views
        self._labelled = labelled
        self.balanced_by = balanced_by
        if labelled:
            _check_images_stay_with_maps(name, self._augment, rows)
        self._memory_budget = memory_budget
        self._workers = workers
        self._in_parts = in_parts
        self._transform = InputTransform(specs, model_specs or {}, device, channels_last)

    @property
    def has_views(self) -> bool:
        """Whether training batches have augmented views of their inputs."""
        return self._make_views is not None

    @property
    def in_memory(self) -> bool:
        """Whether all rows are kept on the device, and not read anew in every epoch."""
        return self.rows.num_bytes <= self._memory_budget

    @property
    def is_plain(self) -> bool:
        """Whether training batches are rows as `sweep` yields them, all of them in memory."""
        augmented = self._augment != NO_AUGMENT or self.has_views
        return not augmented and self.in_memory

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of an epoch, of as many rows as there are; the last may have fewer rows.

        A last batch of one row would have no variance for BatchNorm: it joins the batch before.
        Where there are fewer rows than in a batch, all of them are one.
        """
        full, rest = divmod(len(self.rows), self.rows_per_step)
        return full if rest <= 1 else full + 1

    @property
    def rows_per_step(self) -> int:
        """Rows of a training step: the batch size, or all rows."""
        return max(1, min(self.batch_size, len(self.rows)))

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the augmented batches of training steps ``start`` to ``stop - 1``.

        Raises:
            UserError: if an input can't be read.
        """
        plain = self._augment == NO_AUGMENT and self._make_views is None
        if self._makes_parts(plain):
            yield from self._lazily(start, stop)
            return
        if plain and isinstance(self._source, MemorySource):
            yield from self._in_blocks(self._source, start, stop)
            return
        raw = self._source.batches(self.indices(start, stop))
        if plain:
            yield from map(self._made, raw)
            return
        for step, batch in enumerate(raw, start):
            seed = derive_seed(self._seed, self.name, "augment", step)
            generator = torch.Generator().manual_seed(seed)
            seen = self._seen(batch)
            augmented, views = self._augment(seen, generator, self.specs), ()
            if self._make_views is not None:
                views = self._make_views(to_unit(seen), generator, self.specs)
            yield self._transform(replace(augmented, views=views))

    def _makes_parts(self, plain: bool) -> bool:
        """Return whether it is worthwhile to make the inputs of parts of a batch by themselves."""
        if not self._in_parts or self._make_views is not None or self._augment.mixes:
            return False
        source = self._source
        if not isinstance(source, MemorySource):
            return False
        return not plain or self._steps_in_block(source) == 1  # small ones are made together

    def _lazily(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches whose inputs are made when they are asked for, row by row the same."""
        source, modalities = self._source, self._transform.modalities
        assert isinstance(source, MemorySource)
        rest, inputs = self._seen(source.without_inputs), source.only_inputs
        for step, index in enumerate(self.indices(start, stop), start):
            index = index.to(self._device, non_blocking=True)
            batch = rest.select(index)
            made = LazyInputs(
                modalities, len(index), self._maker(inputs, index, step), self._device
            )
            present = self._transform.of_present(batch.present)
            yield replace(batch, inputs=made, present=present)

    def _maker(self, inputs: Batch, index: Tensor, step: int) -> MakeRows:
        seed = derive_seed(self._seed, self.name, "augment", step)

        def make(first: int, last: int) -> Mapping[str, Tensor]:
            raw = inputs.select(index[first:last]).inputs
            if self._augment == NO_AUGMENT:
                return self._transform.of_inputs({m: as_unit(x) for m, x in raw.items()})
            draws = RowDraws(torch.Generator().manual_seed(seed), len(index), first, last)
            return self._transform.of_inputs(self._augment.of_inputs(raw, draws))

        return make

    def indices(self, start: int, stop: int) -> Iterable[Tensor]:
        """Return the rows ``(B,)`` of training steps ``start`` to ``stop - 1``."""
        return _Indices(self, start, stop)

    def _in_blocks(self, source: MemorySource, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of training steps; those of several steps are made at once.

        Blocks begin at fixed positions of an epoch, wherever ``start`` is: kernels may round by
        where rows lie in memory.
        """
        if start == stop:
            return
        size, per_epoch = self.rows_per_step, self.steps_per_epoch
        length = self._steps_in_block(source)
        epoch, order, step = -1, torch.empty(0), start
        while step < stop:
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                order = self.order(epoch)
            position = step % per_epoch
            first = position - position % length
            count = min(length, per_epoch - first)
            is_last = first + count == per_epoch
            index = order[first * size : None if is_last else (first + count) * size]
            block = self._made(source.rows_at(index))
            last = min(first + count, position + stop - step)
            for i in range(position - first, last - first):
                yield block.part(i * size, len(index) if i == count - 1 else (i + 1) * size)
            step += last - position

    def _steps_in_block(self, source: MemorySource) -> int:
        row = self._made(source.rows_at(torch.zeros(1, dtype=torch.int64)))
        columns = [*row.inputs.values(), *row.targets.values()]
        num_bytes = sum(column.nbytes for column in columns)
        return max(1, BLOCK_BYTES // max(1, num_bytes * self.rows_per_step))

    def _made(self, batch: Batch) -> Batch:
        return self._transform(to_unit(self._seen(batch)))

    def sweep(self, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield all rows once, in order and unaugmented; the last batch may be smaller.

        Raises:
            UserError: if an input can't be read.
        """
        if not len(self.rows):
            return
        indices = torch.arange(len(self.rows)).split(batch_size or self.batch_size)
        for batch in self._source.batches(indices):
            yield self._made(batch)

    def _seen(self, batch: Batch) -> Batch:
        return batch if self._labelled else batch.without_labels()

    def sample(self, count: int) -> Stream:
        """Return a stream of at most ``count`` of the rows, always the same ones."""
        if len(self.rows) <= count:
            return self
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.name, "sample"))
        chosen = torch.randperm(len(self.rows), generator=generator)[:count].sort().values
        return self.take(chosen)

    def take(self, positions: Tensor) -> Stream:
        """Return a stream of the rows at ``positions``, ``(M,)``."""
        found = copy(self)
        found.__dict__.pop("_source", None)  # that of all rows
        found.rows = View(self.rows, positions)
        return found

    def divide(self, share: float) -> tuple[Stream, Stream]:
        """Return streams of the rest and of a ``share`` of the rows, always the same ones.

        Both have at least one row.

        Raises:
            UserError: if there is only one row.
        """
        count = len(self.rows)
        if count < 2:
            raise UserError.of(self.name, f"{count} training rows can't be divided in two")
        size = min(max(1, round(share * count)), count - 1)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.name, "divide"))
        order = torch.randperm(count, generator=generator)
        return self.take(order[size:].sort().values), self.take(order[:size].sort().values)

    def order(self, epoch: int) -> Tensor:
        """Return the row indices of an epoch, int64 ``(N,)``, in the order of training."""
        seed = derive_seed(self._seed, self.name, "order", epoch)
        generator = torch.Generator().manual_seed(seed)
        if self.balanced_by is not None:
            return balanced_order(class_column(self.rows, self.balanced_by), generator)
        return torch.randperm(len(self.rows), generator=generator)

    @cached_property
    def _source(self) -> Source:
        if self.in_memory:
            views = self._make_views is not None  # they are made of images as they are
            kept = () if views else self._transform.kept_channels_last
            return MemorySource(self.rows, self._device, kept)
        return FetchingSource(self.rows, self._device, self._workers)


def _check_images_stay_with_maps(name: str, augment: Augment, rows: Rows) -> None:
    maps = tasks_with_maps(rows)
    if maps and augment != NO_AUGMENT:
        raise UserError.of(
            f"{name}.augment",
            f"images are moved or mixed without the maps of {', '.join(maps)}; switch all of it "
            "off, as it is by default",
        )


class _Indices:
    """The row indices of training steps ``start`` to ``stop - 1``, each of shape ``(B,)``."""

    def __init__(self, stream: Stream, start: int, stop: int) -> None:
        self._stream = stream
        self._steps = range(start, stop)
        self._per_epoch = stream.steps_per_epoch

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Tensor]:
        size = self._stream.rows_per_step
        epoch, order = -1, torch.empty(0)
        for step in self._steps:
            if step // self._per_epoch != epoch:
                epoch = step // self._per_epoch
                order = self._stream.order(epoch)
            position = step % self._per_epoch
            is_last = position == self._per_epoch - 1
            yield order[position * size : None if is_last else (position + 1) * size]
