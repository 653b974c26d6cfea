"""Images judged by a small PyTorch network behind FastAPI. Run: uvicorn app:app --port 8000."""

import torch
from fastapi import FastAPI
from pydantic import BaseModel, Field
from torch import nn

import otelml

otelml.auto_instrument("images-api", model_name="bright-half", model_version="1")


class Image(BaseModel):
    """An image of 8 by 8 pixels, each 0 to 16, row by row."""

    pixels: list[float] = Field(min_length=64, max_length=64)


def trained() -> nn.Module:
    """Return a network that tells images with a bright upper half from those with a bright lower half."""
    torch.manual_seed(0)
    images = 16 * torch.rand(512, 64)
    upper = (images[:, :32].mean(1) > images[:, 32:].mean(1)).long()
    network = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.nll_loss(network(images).log(), upper).backward()
        optimizer.step()
    return network.eval()  # from here on its calls are predictions


app = FastAPI()
model = trained()


@app.post("/classify")
def classify(image: Image) -> dict[str, float | str]:
    with torch.inference_mode():
        lower, upper = model(torch.tensor([image.pixels]))[0].tolist()
    return {"bright half": "upper" if upper > lower else "lower", "confidence": round(max(lower, upper), 3)}
