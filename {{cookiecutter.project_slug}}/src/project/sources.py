"""Where rows come from, where neither files in data/raw nor a declared origin are enough.

conf/data names a function under `source`:

    reader: joined     (folder: Path) -> Iterable[pd.DataFrame], which reads what data/raw holds
    ingest: orders     () -> Iterable[pd.DataFrame], which `mlops ingest` writes to data/raw

A reader joins several files or knows another format. A query, an API, a bucket, a Delta or Iceberg
table needs no function: `origin` declares it (engine/docs/sources.md). What `ingest` fetches may be
bounded, if it takes `since` and `until` (datetime.date or None, until is the first day not asked
for), and kept by day with `partition`. It is versioned like any file: `mlops ingest && dvc add
data/raw`, or a stage of dvc.yaml before ours.
"""
