import sys; sys.path.insert(0, __file__.rsplit("/",1)[0])
import asyncio, json, time, resource, os
import pytest
from test_batches import *  # noqa
from test_batches import begun, ended, lines_of, until
from batches_world import line, jsonl
def rss():
    return int(__import__('pathlib').Path('/proc/self/statm').read_text().split()[1])*4096/2**20

async def test_thousand(sdk, upstream):
    lines=[line(f"g{n}", f"Q {n}") for n in range(980)]+[line(f"b{n}", model="missing") for n in range(10)]+[line(f"s{n}", stream=True) for n in range(10)]
    t=time.time()
    batch=await begun(sdk, jsonl(*lines)); seen=set()
    def note(now): seen.add(now.request_counts.completed); return now.status in ("completed","failed")
    batch=await until(sdk,batch,note)
    out,err=await lines_of(sdk,batch.output_file_id),await lines_of(sdk,batch.error_file_id)
    print("1000 lines", time.time()-t, batch.request_counts, len(out), len(err), sorted(seen)[:12], len(seen), batch.usage)
    assert len(out)==980 and len(err)==20
    t=time.time()
    batch=await begun(sdk, jsonl(*lines))
    batch=await until(sdk,batch,lambda b:b.request_counts.completed>200)
    await sdk.batches.cancel(batch.id); t1=time.time()
    batch=await ended(sdk,batch)
    out,err=await lines_of(sdk,batch.output_file_id),await lines_of(sdk,batch.error_file_id)
    print("cancel", time.time()-t1, batch.status, batch.request_counts, len(out),len(err)); assert len(out)+len(err)==1000

async def test_large(sdk, suite, tmp_path):
    path=tmp_path/"big.jsonl"
    pad="x"*4000
    with open(path,"wb") as f:
        n=0
        while f.tell()<195*2**20:
            f.write(json.dumps(line(f"l{n}",pad)).encode()+b"\n"); n+=1
    print("lines",n, "rss before", rss())
    peak=[0]
    async def watch():
        while True:
            peak[0]=max(peak[0],rss()); await asyncio.sleep(0.05)
    w=asyncio.create_task(watch())
    async def body():
        yield b'--B\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--B\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        with open(path,"rb") as f:
            while c:=f.read(65536): yield c
        yield b'\r\n--B--\r\n'
    t=time.time()
    r=await sdk._client.post("http://penstock/v1/files",headers={"authorization":f"Bearer {suite.KEY}","content-type":"multipart/form-data; boundary=B"},content=body(),timeout=300)
    print(r.status_code, r.json(), "s",time.time()-t,"peak",peak[0])
    t=time.time(); size=0
    async with sdk._client.stream("GET",f"http://penstock/v1/files/{r.json()['id']}/content",headers={"authorization":f"Bearer {suite.KEY}"}) as d:
        async for c in d.aiter_bytes(): size+=len(c)
    print("down",size,time.time()-t,"peak",peak[0])
    # longest loop wait while validating
    gap=[0]
    async def ticks():
        last=time.monotonic()
        while True:
            await asyncio.sleep(0.001); now=time.monotonic(); gap[0]=max(gap[0],now-last); last=now
    g=asyncio.create_task(ticks())
    t=time.time()
    batch=await sdk.batches.create(input_file_id=r.json()['id'],endpoint=CHAT,completion_window="24h")
    batch=await until(sdk,batch,lambda b:b.status!="validating")
    print("validated",batch.status,batch.request_counts,time.time()-t,"gap",gap[0],"peak",peak[0])
    await sdk.batches.cancel(batch.id)
    t=time.time()
    async with asyncio.timeout(200):
        batch=await ended(sdk,batch)
    print("ended",batch.status,batch.request_counts,time.time()-t,"gap",gap[0],"peak",peak[0])
    w.cancel(); g.cancel()
