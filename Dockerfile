# What jobs need, without the project itself, which Snakemake brings to each job (docs/cluster.md):
#   docker build --build-arg DEVICE=cuda --tag registry.example.org/pipestill:cuda .
ARG DEVICE=cpu

FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git rsync \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home pipestill \
    && install --directory --owner pipestill /work
COPY requirements.txt /

FROM base AS cpu
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu --requirement /requirements.txt

# The registry's torch brings the libraries of CUDA: the machine needs the driver alone.
FROM base AS cuda
RUN pip install --no-cache-dir --requirement /requirements.txt

FROM ${DEVICE}
ARG RUN_AS=pipestill
WORKDIR /work
USER ${RUN_AS}
