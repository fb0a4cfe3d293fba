import { useEffect, useState } from 'react';
import { Sub } from '@zwsbridge/zws';

const initial = { state: 'connecting', error: undefined, readings: new Map() };

/**
 * Returns the latest reading of each topic that begins with `topic`, and the state of the
 * connection: `connecting`, `live`, `reconnecting` or `refused`. In the last two states
 * `error` has `code` and `reason`. Pass the same `login` object on every rendering.
 */
export function useReadings(url, topic, login) {
  const [current, setCurrent] = useState(initial);

  useEffect(() => {
    const sub = new Sub({ login });
    const setState = (state) => (error) => setCurrent((old) => ({ ...old, state, error }));
    sub.events.on('ready', setState('live')).on('recovered', setState('live'))
      .on('disconnect', setState('reconnecting')).on('refused', setState('refused'));
    sub.subscribe(topic);
    sub.connect(url);
    receive(sub, (key, value) => setCurrent((old) => ({ ...old, readings: new Map(old.readings).set(key, value) })));
    return () => {
      sub.close();
      setCurrent(initial);
    };
  }, [url, topic, login]);

  return current;
}

async function receive(sub, onReading) {
  try {
    for await (const [topic, value] of sub) onReading(`${topic}`, `${value}`);
  } catch {
    // The 'refused' event has the reason.
  }
}
