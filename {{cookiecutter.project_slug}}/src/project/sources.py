"""Where rows come from, where the files in data/raw are not read one by one.

conf/data names a function under `source`:

    reader: joined     (folder: Path) -> Iterable[pd.DataFrame], which reads what data/raw holds
    ingest: orders     () -> Iterable[pd.DataFrame], which `mlops ingest` writes to data/raw

A reader joins several files or knows another format. What `ingest` fetches, from a query or an API,
is versioned like any file: `mlops ingest && dvc add data/raw`, or a stage of dvc.yaml before ours.
"""
