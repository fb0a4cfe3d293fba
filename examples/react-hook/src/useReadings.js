import { useEffect, useState } from 'react';
import { Sub } from '@zwsbridge/zws';

const nothing = { state: 'connecting', why: undefined, readings: new Map() };

/**
 * The latest reading under each topic that begins with `topic`, and how the connection is:
 * `connecting`, `live`, `waiting` (lost, and tried again) or `refused`; `why` then holds
 * `code` and `reason`. `login` must stay the same object from one rendering to the next.
 */
export function useReadings(url, topic, login) {
  const [now, setNow] = useState(nothing);

  useEffect(() => {
    const sub = new Sub({ login });
    const turns = (state) => (why) => setNow((now) => ({ ...now, state, why }));
    sub.events.on('ready', turns('live')).on('recovered', turns('live'))
      .on('disconnect', turns('waiting')).on('refused', turns('refused'));
    sub.subscribe(topic);
    sub.connect(url);
    read(sub, (key, value) => setNow((now) => ({ ...now, readings: new Map(now.readings).set(key, value) })));
    return () => {
      sub.close();
      setNow(nothing);
    };
  }, [url, topic, login]);

  return now;
}

async function read(sub, take) {
  try {
    for await (const [topic, value] of sub) take(`${topic}`, `${value}`);
  } catch {
    // Refused: the event has told.
  }
}
