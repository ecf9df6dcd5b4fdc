# One image for both uses:
#   docker run -v "$PWD/data:/data:ro" -v "$PWD/runs:/app/runs" gdpipe gdpipe train /data/flights --target arr_delay
#   a Prefect docker pool: prefect.yaml's flows are in /app
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gdpipe ./gdpipe
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
RUN useradd --create-home --uid 10001 gdpipe
COPY --from=build /venv /venv
WORKDIR /app
COPY prefect.toml prefect.yaml ./
COPY flows ./flows
RUN mkdir -p /app/runs /app/scores && chown gdpipe:gdpipe /app/runs /app/scores
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PREFECT_HOME=/home/gdpipe/.prefect
USER gdpipe
# no ENTRYPOINT: a Prefect docker pool brings its own command
CMD ["gdpipe", "--help"]
