"""Reconciliation over HTTP: sources and files, runs and sign-offs, breaks and adjustments."""

from fastapi import APIRouter

from ingest_api.reconciliation import breaks, files, runs

router = APIRouter()
for noun in (files, runs, breaks):
    router.include_router(noun.router)
