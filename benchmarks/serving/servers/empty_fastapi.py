"""What FastAPI costs: a route that does nothing."""

from fastapi import FastAPI

app = FastAPI(docs_url=None, openapi_url=None)


@app.get("/ready")
@app.post("/predict")
async def nothing() -> dict[str, str]:
    """Answer an empty object."""
    return {}
